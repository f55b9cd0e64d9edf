"""Heaps of what happens next."""
