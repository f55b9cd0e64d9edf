"""Packets from a mirror port: a ring in memory that the kernel fills and the decoder reads."""
