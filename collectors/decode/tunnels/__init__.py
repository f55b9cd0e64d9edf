"""Encapsulations: what leads from an outer packet to the one inside."""
