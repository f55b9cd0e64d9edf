"""Integers in the bytes of a capture."""
