"""Packets in, tables out: flows, RDMA, applications, behaviour, findings. No I/O, no clock."""
