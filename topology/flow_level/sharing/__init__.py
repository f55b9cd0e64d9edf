"""Max-min fair shares of the links, re-made only where something changed."""
