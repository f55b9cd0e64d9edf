"""Patterns of texts in which `*` is anything and `?` one character, for frames and for words."""

import functools
import re
from collections.abc import Iterable

import polars as pl

__all__ = ["is_like", "like"]


def _expression(pattern: str) -> str:
    body = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern)
    return f"^(?s:{body})$"


def like(column: str, patterns: Iterable[str]) -> pl.Expr:
    """Return an expression: whether the whole text of `column` matches any of the patterns."""
    patterns = list(patterns)
    plain = [pattern for pattern in patterns if not set(pattern) & set("*?")]
    # One expression a pattern: the engine bounds the size of each, not of their sum.
    wild = [
        pl.col(column).str.contains(_expression(pattern))
        for pattern in patterns
        if pattern not in plain
    ]
    return pl.any_horizontal(pl.col(column).is_in(plain), *wild)


def is_like(text: str, patterns: Iterable[str]) -> bool:
    """Return whether the whole of `text` matches any of the patterns."""
    return any(_compiled(pattern).search(text) for pattern in patterns)


@functools.lru_cache(4_096)
def _compiled(pattern: str) -> re.Pattern[str]:
    # `$` of Python also matches before a last line break.
    return re.compile(_expression(pattern).removesuffix("$") + r"\Z")
