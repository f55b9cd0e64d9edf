"""Fewer, longer transfers in their place: what keeps the list of transfers bounded."""
