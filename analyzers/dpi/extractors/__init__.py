"""Readers of what a recognised flow says about itself, one module a protocol family.

An extractor takes the heads of both directions and returns a small dict; it never raises.
"""

from collections.abc import Callable
from typing import Final

from fabricscope.analyzers.dpi.extractors.text import Detail, Head

_EXTRACTORS: Final[dict[str, Callable[[Head, Head], Detail]]] = {}


def extract_detail(application: str, request: Head, reply: Head) -> Detail:
    """Return the detail of a flow; empty where there is nothing to say or bytes are missing."""
    extractor = _EXTRACTORS.get(application)
    if extractor is None:
        return {}
    try:
        return extractor(request, reply)
    except (ValueError, IndexError):
        return {}
