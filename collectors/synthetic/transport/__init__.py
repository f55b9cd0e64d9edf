"""Simulated reliable and unreliable transport: the event loop that makes the packets."""
