"""pcapng."""
