"""The fabric as a graph: builders, importers, routing, recovery schemes and their simulation."""

from fabricscope.compiled import forget_outdated

forget_outdated()
