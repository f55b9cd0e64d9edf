"""URLs, points and InfluxQL without a server; test_influx_servers.py has real ones."""

from pathlib import Path

import polars as pl
import pytest
from examples.points import alerts

from fabricscope.errors import ConfigError
from fabricscope.influx.address import parse_address
from fabricscope.influx.influxql import frame_of, select_folded, select_rows, tag_equalities
from fabricscope.influx.points import field_columns, lines_of, tag_columns
from fabricscope.influx.store import InfluxStore
from fabricscope.schemas import SECOND_NS, declared, schema_of
from fabricscope.store import DeltaStore, open_store


def test_a_url_says_where_and_who() -> None:
    address = parse_address("influxs://db.lab:9999/fabric/month?org=lab&precision=s", {})
    assert address.url == "https://db.lab:9999"
    assert (address.database, address.policy) == ("fabric", "month")
    assert (address.org, address.precision, address.token) == ("lab", "s", "")
    assert parse_address("influx://[::1]/x", {}).url == "http://[::1]:8086"


def test_secrets_come_from_the_url_or_the_environment_and_are_not_shown() -> None:
    environment = {"INFLUX_TOKEN": "t0ken", "INFLUX_ORG": "lab", "INFLUX_USERNAME": "bob"}
    address = parse_address("influx://host/x", environment)
    assert (address.token, address.org, address.user) == ("t0ken", "lab", "bob")
    address = parse_address("influx://anna:p%40ss@host/x", environment)
    assert (address.token, address.user, address.password) == ("", "anna", "p@ss")
    assert "p@ss" not in repr(InfluxStore(address))
    assert "p@ss" not in repr(address)
    assert "t0ken" not in repr(parse_address("influx://host/x", environment))


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://host/x", "http://host/x is no store; give a directory, or influx://"),
        ("influx://anna:secret@host", "names no database; write it as influx://HOST:PORT/DATABASE"),
        ("influx:///x", "names no host"),
        ("influx://host:port/x", "the host and port cannot be read"),
        ("influx://host/x?color=red", "has no option color; there are org, precision"),
        ("influx://host/x?precision=h", "precision 'h' is none of ns, us, ms, s"),
        ("influx://host/x?ca=/nosuch.pem", "there is no such file of certificates"),
        ("influx://host/x?spool_mb=1", "spool_mb=1 is no size; give 16 or more"),
    ],
)
def test_urls_that_cannot_be_meant(url: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as found:
        open_store(url)
    assert sentence in str(found.value)
    assert "secret" not in str(found.value)


def test_a_store_is_a_directory_or_a_database(tmp_path: Path) -> None:
    assert isinstance(open_store(str(tmp_path)), DeltaStore)
    assert isinstance(open_store("influx://host/x"), InfluxStore)


def test_every_table_has_tags_and_a_field_that_is_always_there() -> None:
    for table in declared():
        schema = schema_of(table)
        assert {"time_ns", *tag_columns(table), *field_columns(table)} == set(schema)
        assert any(schema[name] in (pl.Int64(), pl.String()) for name in field_columns(table))
    assert tag_columns("link_samples") == ["collector", "link", "direction", "source"]


@pytest.mark.parametrize(("precision", "series"), [("ns", 1), ("s", 1_024)])
def test_flows_are_no_series_of_their_own(precision: str, series: int) -> None:
    """Their numbers go up for ever; a server has only so many series."""
    count = 20_000
    rows = pl.DataFrame(
        {
            "id": range(count),
            "time_ns": [number * SECOND_NS // 1_000 for number in range(count)],
            "application": ["tls"] * count,
        }
    )
    missing = [pl.lit(None).alias(name) for name in schema_of("flows") if name not in rows.columns]
    rows = rows.with_columns(missing).select(list(schema_of("flows")))
    lines = list(lines_of("flows", rows, precision))
    assert len({line.split(" ", 1)[0] for line in lines}) <= series
    assert "id=0i" in lines[0]
    # What comes later, at another flush, but ended in the same second replaces none.
    parts = [lines_of("flows", rows[start : start + 50], precision) for start in (0, 50, 100)]
    points = [line for part in parts for line in part]
    assert len({(line.split(" ", 1)[0], line.rsplit(" ", 1)[1]) for line in points}) == 150


def test_a_row_becomes_a_line_without_line_breaks() -> None:
    (line,) = lines_of("alerts", alerts({}), "ns")
    assert line == (
        r"alerts,collector=one,rule=slow\ link,severity=warning,state=firing,"
        r'subject=leaf1\,\ port\=3 action="",by="",since_ns=1700000000000000000i,'
        r'table="link_samples",'
        r'text="he said \"no\" and left\\",value=2.5 1700000000123456789'
    )
    (line,) = lines_of("alerts", alerts({"value": None, "time_ns": 1_999_999_999}), "s")
    assert "value" not in line
    assert line.endswith(" 1")


def test_rows_of_one_moment_stay_apart() -> None:
    lines = list(lines_of("alerts", alerts({}, {"text": "other"}, {"rule": "new"}), "ns"))
    assert [",copy=1," in line for line in lines] == [False, True, False]
    again = list(lines_of("alerts", alerts({}, {"text": "other"}, {"rule": "new"}), "ns"))
    assert again == lines
    # Within the same second, which is one moment to a store of seconds.
    near = list(lines_of("alerts", alerts({"time_ns": 1}, {"time_ns": 2}), "s"))
    assert [",copy=1," in line for line in near] == [False, True]


def test_lists_are_json_and_rows_without_values_no_points() -> None:
    columns = schema_of("iterations")
    row = {name: None for name in columns} | {"time_ns": 5, "collector": "one"}
    ranks = {"ranks": ["10.0.0.1", "10.0.0.2"], "end_ns": 7}
    frame = pl.DataFrame([row, row | ranks], schema=columns)
    empty, full = lines_of("iterations", frame, "ns")
    assert empty == ""
    assert full == (
        r'iterations,collector=one,copy=1 end_ns=7i,ranks="[\"10.0.0.1\", \"10.0.0.2\"]" 5'
    )


def test_questions_ask_for_a_field_that_every_row_has() -> None:
    question = select_rows("iterations", 5, 10**19, ["time_ns", "busbw_gbps"])
    assert question == (
        'SELECT "busbw_gbps", "end_ns", "collector", "job", "operation", "algorithm" '
        'FROM "iterations" WHERE time >= 5 AND time < 9223372036854775806 LIMIT 1000001'
    )
    question = select_folded("tap_samples", 10 * SECOND_NS, 0, 100, ["level"])
    assert 'sum("packets") AS "packets"' in question
    assert 'max("level") AS "level"' in question
    assert 'GROUP BY time(10s), "collector", "tap" fill(none)' in question
    question = select_folded("tap_samples", 7_200 * SECOND_NS, 0, 100, ["level"])
    assert "GROUP BY time(7200s), " in question


def test_plain_conditions_on_tags_are_left_to_the_server() -> None:
    up = (pl.col("link") == "a") & (pl.col("direction") == pl.lit("up")) & (pl.col("lost") > 3)
    assert tag_equalities("link_samples", up) == {"link": "a", "direction": "up"}
    for where in (
        None,
        pl.col("reasons") == "a",
        pl.col("link") != "a",
        (pl.col("link") == "a") | (pl.col("link") == "b"),
        ~(pl.col("link") == "a"),
        pl.col("link").is_in(["a", "b"]),
        pl.col("link") == pl.col("source"),
    ):
        assert tag_equalities("link_samples", where) == {}
    assert tag_equalities("rdma_samples", pl.col("dest_qp") == 5) == {}
    question = select_rows("link_samples", 0, 9, ["lost"], {"link": "it's \\'; DROP"})
    assert question.partition("WHERE ")[2] == (
        r"""time >= 0 AND time < 9 AND "link" = 'it\'s \\\'; DROP' LIMIT 1000001"""
    )


def test_answers_become_frames_with_every_column() -> None:
    series = {
        "tags": {"collector": "one", "src": "", "dst": "b", "dest_qp": "77", "transport": ""},
        "columns": ["time", "packets", "ack_rtt_p50", "naks"],
        "values": [[1, 5, 2, None], [2, None, None, 4]],
    }
    frame = frame_of("rdma_samples", [series])
    assert frame.schema == schema_of("rdma_samples")
    assert frame["dest_qp"].to_list() == [77, 77]
    assert frame["src"].to_list() == ["", ""]
    assert frame["packets"].to_list() == [5, 0]
    assert frame["ack_rtt_p50"].to_list() == [2.0, None]
