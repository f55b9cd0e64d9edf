"""Reading numbers out of a packet: network byte order, no bounds checks of its own."""
