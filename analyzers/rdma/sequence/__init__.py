"""PSN order of one direction: what is new, missing, late or repeated."""
