"""Which queue pair a packet belongs to, and which two directions are one connection."""
