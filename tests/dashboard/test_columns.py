"""Cells and tables: what is not known is said, what is empty is left out."""

from examples.analysis import ring_document

from fabricscope.dashboard import columns, tables
from fabricscope.dashboard.quantities import UNKNOWN


def test_numbers_that_are_not_there_are_unknown() -> None:
    whole = ring_document()["queue_pairs"][9]
    pair = whole | {"goodput_gbps": float("nan"), "ack_rtt_us": None}
    table = columns.build_table("q", "Q", tables.QUEUE_PAIRS, [whole, pair], 2)
    shown = {column.title: cell for column, cell in zip(table.columns, table.rows[1], strict=True)}
    for title in ("Goodput", "RTT p99"):
        assert shown[title] == (UNKNOWN, -1.0)


def test_columns_without_a_single_value_are_left_out() -> None:
    pair = ring_document()["queue_pairs"][9] | {"goodput_gbps": None, "state": None}
    table = columns.build_table("q", "Q", tables.QUEUE_PAIRS, [pair], 1)
    titles = {column.title for column in table.columns}
    assert "Goodput" not in titles
    assert {"From", "To", "QP", "Payload"} <= titles
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert columns.build_table("q", "Q", tables.QUEUE_PAIRS, [], 1).rows == []


def test_names_of_classes_are_shown_without_underscores() -> None:
    cell = columns.words("behaviour")
    assert cell({"behaviour": "collective_burst"}).text == "collective burst"
    assert cell({"behaviour": None}).text == cell({}).text == UNKNOWN
