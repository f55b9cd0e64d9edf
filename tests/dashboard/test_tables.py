"""Columns: unique, explained, and able to say that a value is unknown."""

import pytest
from examples.analysis import ring_document

from fabricscope.dashboard import tables
from fabricscope.dashboard.quantities import UNKNOWN

ALL = {
    "queue_pairs": tables.QUEUE_PAIRS,
    "flows": tables.FLOWS,
    "iwarp": tables.IWARP,
    "pause": tables.PAUSE,
}


@pytest.mark.parametrize("name", ALL)
def test_columns_are_named_once_and_explained(name: str) -> None:
    titles = [column.title for column in ALL[name]]
    assert len(set(titles)) == len(titles)
    assert all(column.help for column in ALL[name])
    assert any(column.rank == 0 for column in ALL[name])


@pytest.mark.parametrize("name", ALL)
def test_rows_are_cut_but_counted(name: str) -> None:
    rows = ring_document()[name] * 3
    table = tables.build_table(name, name, ALL[name], rows, 2)
    assert (len(table.rows), table.total) == (2, len(rows))


def test_cells_sort_by_value_and_show_units() -> None:
    document = ring_document()
    table = tables.build_table("q", "Q", tables.QUEUE_PAIRS, document["queue_pairs"], 100)
    titles = [column.title for column in table.columns]
    failed = next(row for row in table.rows if row[titles.index("State")].text == "failed")
    goodput = failed[titles.index("Goodput")]
    assert goodput == (UNKNOWN, -1.0)
    assert table.rows[0][titles.index("QP")] == ("0x000111", 0x111)
    assert table.rows[0][titles.index("Pair")].text == UNKNOWN
    payload = table.rows[0][titles.index("Payload")]
    assert payload.text.endswith("MiB")
    assert payload.sort == document["queue_pairs"][0]["payload_bytes"]


def test_flows_name_tunnel_and_endpoints() -> None:
    flows = ring_document()["flows"]
    table = tables.build_table("f", "F", tables.FLOWS, flows, 100)
    titles = [column.title for column in table.columns]
    texts = [[cell.text for cell in row] for row in table.rows]
    assert texts[-1][titles.index("A")] == "[fd00:77::11]:51514"
    assert texts[-1][titles.index("VLAN")] == UNKNOWN
    assert texts[12][titles.index("Tunnel")] == "vxlan 5001"


def test_offsets_carry_sign_and_error() -> None:
    taps = ring_document()["capture"]["taps"]
    table = tables.build_table("t", "T", tables.TAPS, taps, 9)
    assert table.rows[1][2].text == "-1,843.21 ± 0.42 µs"
    assert table.rows[1][2].sort == pytest.approx(-1843.21)


def test_operations_are_read_in_both_shapes() -> None:
    document = ring_document()
    for columns, row, expected in (
        (tables.QUEUE_PAIRS, document["queue_pairs"][0], "rdma_write_imm 4"),
        (tables.IWARP, document["iwarp"][0], "send 20, write 20"),
    ):
        table = tables.build_table("x", "X", columns, [row], 1)
        titles = [column.title for column in table.columns]
        assert table.rows[0][titles.index("Operations")].text.endswith(expected)


def test_numbers_that_are_not_there_are_unknown() -> None:
    whole = ring_document()["queue_pairs"][9]
    pair = whole | {"goodput_gbps": float("nan"), "ack_rtt_us": None}
    table = tables.build_table("q", "Q", tables.QUEUE_PAIRS, [whole, pair], 2)
    shown = {column.title: cell for column, cell in zip(table.columns, table.rows[1], strict=True)}
    for title in ("Goodput", "RTT p99"):
        assert shown[title] == (UNKNOWN, -1.0)


def test_columns_without_a_single_value_are_left_out() -> None:
    pair = ring_document()["queue_pairs"][9] | {"goodput_gbps": None, "state": None}
    table = tables.build_table("q", "Q", tables.QUEUE_PAIRS, [pair], 1)
    titles = {column.title for column in table.columns}
    assert "Goodput" not in titles
    assert {"From", "To", "QP", "Payload"} <= titles
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert tables.build_table("q", "Q", tables.QUEUE_PAIRS, [], 1).rows == []
