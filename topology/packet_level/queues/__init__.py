"""Ports: the queue of events, buffers, marking, pauses and the packets on the wire."""
