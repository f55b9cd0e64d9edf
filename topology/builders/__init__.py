"""Makers of fabrics, and the short form that names them on the command line."""

from fabricscope.topology.builders.presets import PRESETS
from fabricscope.topology.builders.specification import build

__all__ = ["PRESETS", "build"]
