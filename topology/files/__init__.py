"""Fabrics from files and into files: one module a format, `formats.py` opens and chooses."""

from fabricscope.topology.files.draft import Imported
from fabricscope.topology.files.formats import (
    FORMATS,
    read_fabric,
    read_pairs,
    render_fabric,
    write_fabric,
)

__all__ = ["FORMATS", "Imported", "read_fabric", "read_pairs", "render_fabric", "write_fabric"]
