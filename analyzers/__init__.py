"""Packets in, tables out: flows, RDMA, applications, behaviour, findings. No I/O, no clock."""

from fabricscope.compiled import forget_outdated

forget_outdated()
