"""Pure functions from columns to plotly figures, one kind of figure a module.

Nothing here reads a store, knows a page or keeps state.
"""
