"""What a queue pair does when its packets no longer arrive."""
