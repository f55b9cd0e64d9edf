"""Transport layer: TCP, UDP and SCTP, and which UDP ports are looked into."""
