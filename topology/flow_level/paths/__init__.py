"""What a flow's path is like, and what it has carried."""
