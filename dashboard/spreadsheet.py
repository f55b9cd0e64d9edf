"""Tables as files for spreadsheets, in which no text from the network can act as a formula."""

import io
from typing import Final

import polars as pl

__all__ = ["write_csv"]

_FORMULA: Final = r"^\s*[=+\-@\t\r]"


def write_csv(frame: pl.DataFrame) -> str:
    """Return `frame` as CSV; texts that a spreadsheet would take for a formula get a ' in front.

    Lists become texts with spaces between.
    """
    columns = [
        pl.col(name).cast(pl.List(pl.String)).list.join(" ") if isinstance(kind, pl.List)
        else pl.col(name)
        for name, kind in frame.schema.items()
    ]  # fmt: skip
    plain = frame.select(columns)
    texts = pl.col(pl.String)
    harmless = pl.when(texts.str.contains(_FORMULA)).then("'" + texts).otherwise(texts)
    out = io.StringIO()
    plain.with_columns(harmless.name.keep() if plain.select(texts).width else []).write_csv(out)
    return out.getvalue()
