"""Columns: unique, explained, and able to say that a value is unknown."""

import pytest
from examples.training import training_document

from fabricscope.dashboard import tables
from fabricscope.dashboard.columns import Column, build_table
from fabricscope.dashboard.quantities import UNKNOWN

ALL = {
    "queue_pairs": tables.QUEUE_PAIRS,
    "flows": tables.FLOWS,
    "iwarp": tables.IWARP,
    "pause": tables.PAUSE,
    "collectives": tables.COLLECTIVES,
    "connections": tables.CONNECTIONS,
    "neighbours": tables.NEIGHBOURS,
    "alerts": tables.ALERTS,
}


@pytest.mark.parametrize("name", ALL)
def test_columns_are_named_once_and_explained(name: str) -> None:
    titles = [column.title for column in ALL[name]]
    assert len(set(titles)) == len(titles)
    assert all(column.help for column in ALL[name])
    assert any(column.rank == 0 for column in ALL[name])


@pytest.mark.parametrize("name", ALL)
def test_rows_are_cut_but_counted(name: str) -> None:
    rows = training_document()[name] * 3
    table = build_table(name, name, ALL[name], rows, 2)
    assert (len(table.rows), table.total) == (2, len(rows))


def test_cells_sort_by_value_and_show_units() -> None:
    document = training_document()
    table = build_table("q", "Q", tables.QUEUE_PAIRS, document["queue_pairs"], 100)
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
    flows = training_document()["flows"]
    table = build_table("f", "F", tables.FLOWS, flows, 100)
    titles = [column.title for column in table.columns]
    texts = [[cell.text for cell in row] for row in table.rows]
    assert texts[-1][titles.index("A")] == "[fd00:77::11]:51514"
    assert texts[-1][titles.index("VLAN")] == UNKNOWN
    assert texts[12][titles.index("Tunnel")] == "vxlan 5001"


def test_offsets_carry_sign_and_error() -> None:
    taps = training_document()["capture"]["taps"]
    table = build_table("t", "T", tables.TAPS, taps, 9)
    assert table.rows[1][2].text == "-1,843.21 ± 0.42 µs"
    assert table.rows[1][2].sort == pytest.approx(-1843.21)


def test_operations_are_read_in_both_shapes() -> None:
    document = training_document()
    for columns, row, expected in (
        (tables.QUEUE_PAIRS, document["queue_pairs"][0], "rdma_write_imm 4"),
        (tables.IWARP, document["iwarp"][0], "send 20, write 20"),
    ):
        table = build_table("x", "X", columns, [row], 1)
        titles = [column.title for column in table.columns]
        assert table.rows[0][titles.index("Operations")].text.endswith(expected)


def _cells(columns: tuple[Column, ...], row: dict[str, object]) -> dict[str, str]:
    table = build_table("x", "X", columns, [row], 1)
    return {c.title: cell.text for c, cell in zip(table.columns, table.rows[0], strict=True)}


def test_flows_show_both_verdicts_and_their_evidence() -> None:
    cells = _cells(tables.FLOWS, training_document()["flows"][-1])
    assert (cells["Application"], cells["Source"], cells["App sure"]) == (
        "tls",
        "handshake",
        "90 %",
    )
    assert (cells["Behaviour"], cells["Beh sure"]) == ("interactive", "70 %")
    assert cells["Detail"] == "sni storage.example.net, alpn h2"
    assert cells["Because"].startswith("relay")


def test_collectives_show_what_is_known_of_them() -> None:
    rows = training_document("link")["collectives"]
    cells = _cells(tables.COLLECTIVES, rows[0] | {"rank_count": 16, "partial_view": True})
    assert (cells["Operation"], cells["S"], cells["Max"]) == ("AllReduce", "50 MiB", "17.5 ms")
    assert (cells["algbw"], cells["busbw"]) == ("25.1 Gb/s", "43.9 Gb/s")
    assert (cells["Ranks"], cells["Partial"]) == ("16", "yes")
    assert cells["Straggler"] == "10.77.0.12 slow uplink 400 Mb/s"
    assert cells["Evidence"] == "others 21.3 Gb/s, ratio 1.90 %"
    bare = _cells(tables.COLLECTIVES, rows[-1])
    assert (bare["Operation"], bare["S"]) == ("Barrier", UNKNOWN)
    assert "busbw" not in bare


def test_connections_show_times_and_the_ack_timeout() -> None:
    row = training_document()["connections"][0]
    cells = _cells(tables.CONNECTIONS, row)
    assert cells["Set-up"] == "2.50 ms"
    assert cells["ACK timeout"] == "1.07 s"  # 4.096 us x 2^18
    assert cells["Service"] == "port 18515"
    assert "Lifetime" not in cells
    assert _cells(tables.CONNECTIONS, row | {"service_port": None})["Service"] == "0x1064853"
    assert "ACK timeout" not in _cells(tables.CONNECTIONS, row | {"ack_timeout_code": 0})


def test_neighbours_show_flow_control() -> None:
    cells = _cells(tables.NEIGHBOURS, training_document()["neighbours"][0])
    assert (cells["System"], cells["Port"], cells["PFC"]) == ("leaf1", "Ethernet1/7", "3, 4")
