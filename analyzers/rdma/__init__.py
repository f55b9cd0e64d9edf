"""RDMA as the packets tell it: queue pairs, messages, acknowledgements, loss and congestion."""
