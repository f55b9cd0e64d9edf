"""What makes two captured records the same packet, and which tap a record comes from."""
