"""Equal-cost routes of a fabric, and the path that a flow's hash picks among them."""
