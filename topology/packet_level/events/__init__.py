"""The queue of events."""
