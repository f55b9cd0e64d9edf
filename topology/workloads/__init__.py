"""Workloads: what the endpoints send, in which order, and what waits for what."""
