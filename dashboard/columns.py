"""Tables of a report: what a column is, how rows become cells, and the cells many columns share.

Cells are text, not HTML: whoever shows them escapes. Which columns there are is in tables.py.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from fabricscope.dashboard.quantities import (
    UNKNOWN,
    format_bit_rate,
    format_count,
    format_microseconds,
)
from fabricscope.dashboard.summary import endpoint

Row = Mapping[str, Any]


class Cell(NamedTuple):
    """What is shown, and by what it is sorted."""

    text: str
    sort: float | str


class Column(NamedTuple):
    """One column: `unsure` where packets that the capture lost distort it."""

    title: str
    help: str
    cell: Callable[[Row], Cell]
    numeric: bool = True
    unsure: bool = False
    rank: int | None = None


class Table(NamedTuple):
    """A table ready to show: rows of cells, and how many rows there are in all."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: list[list[Cell]]
    total: int


def build_table(
    name: str,
    title: str,
    columns: tuple[Column, ...],
    rows: Sequence[Row],
    limit: int,
    total: int | None = None,
) -> Table:
    """Return the first `limit` rows as cells; `total` where `rows` itself was already cut.

    Columns in which no row has a value are left out, but for those of rank 0.
    """
    shown = rows[:limit]
    cells = [(column, [column.cell(row) for row in shown]) for column in columns]
    filled = [
        (column, values)
        for column, values in cells
        if column.rank == 0 or any(value.text != UNKNOWN for value in values)
    ]
    kept = tuple(column for column, _ in filled)
    by_row = [list(row) for row in zip(*(values for _, values in filled), strict=True)]
    return Table(name, title, kept, by_row, len(rows) if total is None else total)


def text(key: str) -> Callable[[Row], Cell]:
    """Return a cell with the value of `key` as it is."""

    def cell(row: Row) -> Cell:
        value = row.get(key)
        shown = UNKNOWN if value is None or value == "" else str(value)
        return Cell(shown, shown)

    return cell


def words(key: str) -> Callable[[Row], Cell]:
    """Return a cell with a name of a class, without underscores."""

    def cell(row: Row) -> Cell:
        shown = str(row.get(key) or UNKNOWN).replace("_", " ")
        return Cell(shown, shown)

    return cell


def number(
    value: Callable[[Row], float | None], form: Callable[[float | None], str]
) -> Callable[[Row], Cell]:
    """Return a cell with a number; what is not known is shown as such and sorts lowest."""

    def cell(row: Row) -> Cell:
        number = value(row)
        if number is None or math.isnan(number):
            return Cell(UNKNOWN, -1.0)
        return Cell(form(number), float(number))

    return cell


def field(key: str, form: Callable[[float | None], str] = format_count) -> Callable[[Row], Cell]:
    """Return a cell with the number under `key`, in the form given."""
    return number(lambda row: row.get(key), form)


def percentile_us(key: str, name: str) -> Callable[[Row], Cell]:
    """Return a cell with a percentile of `key`, which is in microseconds."""
    return number(lambda row: (row.get(key) or {}).get(name), format_microseconds)


def gbps(key: str) -> Callable[[Row], Cell]:
    """Return a cell with a rate that is given in Gb/s."""

    def value(row: Row) -> float | None:
        rate_gbps = row.get(key)
        return None if rate_gbps is None else float(rate_gbps) * 1e9

    return number(value, format_bit_rate)


def endpoint_of(side: str) -> Callable[[Row], Cell]:
    """Return a cell with address and port of one side, `src` or `dst`."""

    def cell(row: Row) -> Cell:
        shown = endpoint(row[side], row[f"{side}_port"])
        return Cell(shown, shown)

    return cell


def yes_no(key: str) -> Callable[[Row], Cell]:
    """Return a cell that says whether something is so."""

    def cell(row: Row) -> Cell:
        value = row.get(key)
        return Cell(UNKNOWN, -1.0) if value is None else Cell("yes" if value else "no", value)

    return cell
