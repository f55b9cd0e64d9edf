"""RDMA transports: RoCE v2, RoCE v1 and InfiniBand, from the LRH to the last extension header."""
