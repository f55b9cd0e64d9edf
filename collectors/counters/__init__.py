"""Counters that this host keeps of its own ports: interfaces, their drivers, RDMA devices."""
