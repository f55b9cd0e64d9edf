"""Queries of the pages: a store and a view in, polars frames out. No figures, no components."""
