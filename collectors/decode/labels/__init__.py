"""MPLS label stacks and what may lie under them."""
