"""sFlow version 5: a UDP socket, datagrams taken apart, and what they say about ports."""
