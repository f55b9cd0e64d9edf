"""Network layer: IPv4, IPv6 and its extension headers."""
