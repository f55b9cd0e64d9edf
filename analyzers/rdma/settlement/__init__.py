"""The end of a run: what is left open is settled."""
