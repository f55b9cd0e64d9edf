"""The fabric as a graph: builders, importers, routing, recovery schemes and their simulation."""
