"""The position in the packet: does a header fit, what happens when it does not."""
