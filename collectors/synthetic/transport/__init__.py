"""The event loop, and what senders do with answers and timers."""
