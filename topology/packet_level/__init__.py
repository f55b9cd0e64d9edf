"""The packet-level engine: every packet, queue and time-out around a failure."""
