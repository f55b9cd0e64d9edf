"""Copying of captured bytes into an arena of their own."""
