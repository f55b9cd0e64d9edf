"""What a sender does: send queues, packets, and turns at the port."""
