"""Counters as rows of the tables, and seconds that pass without a packet."""

import socket
import time
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from fabricscope.collectors.counters.ports import PortCounters
from fabricscope.collectors.ports import PortInterval
from fabricscope.collectors.sflow.listener import SflowListener
from fabricscope.pipeline.live.feeds import SilentFeed
from fabricscope.pipeline.live.monitor import Monitor, MonitorOptions
from fabricscope.pipeline.live.naming import Naming, Place
from fabricscope.pipeline.live.ports import CounterSource, SflowSource, port_samples
from fabricscope.pipeline.live.session import LiveSession, Second
from fabricscope.schemas import schema_of
from reference import sflow_traffic as made

SECOND_NS = 1_000_000_000


def one(**fields: object) -> PortInterval:
    return PortInterval(**({"port": "p", "direction": "up", "interval_ns": SECOND_NS} | fields))  # type: ignore[arg-type]


def test_a_row_says_what_counters_say() -> None:
    intervals = [
        one(rate_gbps=1.0, packets=100_000, bytes=50_000_000, rx_power_dbm=-7.5),
        one(rate_gbps=None, packets=10, bytes=1_000, notes=("is down",)),
        one(rate_gbps=1.0, interval_ns=20 * SECOND_NS, packets=999_000, errors=1_000, flaps=1),
        one(rate_gbps=1.0, packets=1_000, discards=1, pause_ns=SECOND_NS // 2),
    ]
    frame = port_samples(7, "here", "sflow", intervals, Naming(ports={"p": Place("leaf0-host3")}))
    assert dict(frame.schema) == schema_of("link_samples")
    rows = list(frame.iter_rows(named=True))
    assert [row["link"] for row in rows] == ["leaf0-host3"] * 4
    assert [row["utilization"] for row in rows] == [pytest.approx(0.4), None, 0.0, 0.0]
    assert [row["rate_gbps"] for row in rows] == [1.0, None, 1.0, 1.0]
    assert (rows[0]["score"], rows[0]["reasons"], rows[0]["rx_power_dbm"]) == (100.0, "", -7.5)
    assert (rows[1]["score"], rows[1]["reasons"]) == (100.0, "is down")
    assert rows[2]["score"] < 30
    assert "went down once" in rows[2]["reasons"]
    assert "damaged 0.001 of its packets" in rows[2]["reasons"]
    assert "discarded 0.001 of its packets" in rows[3]["reasons"]
    assert "was paused 50% of the time" in rows[3]["reasons"]
    assert rows[0]["burst"] is None
    assert port_samples(7, "here", "sflow", [], Naming()).is_empty()


def test_sflow_becomes_rows_of_ports_and_of_agents() -> None:
    with SflowListener(0) as listener, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        source = SflowSource(
            listener, "here", Naming(ports={"10.0.0.1 port 3": Place("leaf0-host3")})
        )
        flow = made.flow_sample([made.raw_header(bytes(64), 1_000)], rate=50)
        for sequence, octets in ((1, 0), (2, 125_000), (4, 250_000)):
            counters = made.counter_sample([made.generic(in_octets=octets)], sequence=sequence)
            data = made.datagram([counters, flow], sequence=sequence, uptime_ms=1_000 * sequence)
            sender.sendto(data, ("127.0.0.1", listener.port))
        sender.sendto(b"nonsense", ("127.0.0.1", listener.port))
        tables = source.sample(0, SECOND_NS)
        assert source.sample(SECOND_NS, 2 * SECOND_NS)["tap_samples"]["packets"].to_list() == [0]
    links = tables["link_samples"]
    assert set(links["source"]) == {"sflow", "sflow_sampled"}
    told = links.filter((pl.col("source") == "sflow") & (pl.col("direction") == "up"))
    assert told["link"].unique().to_list() == ["leaf0-host3"]
    assert told["bytes"].sum() == 250_000
    sampled = links.filter((pl.col("source") == "sflow_sampled") & (pl.col("direction") == "up"))
    assert (sampled["packets"].to_list(), sampled["bytes"].to_list()) == ([150], [150_000])
    taps = {row["tap"]: row for row in tables["tap_samples"].iter_rows(named=True)}
    agent = taps["sflow 10.0.0.1"]
    assert (agent["packets"], agent["dropped"], agent["sampling"]) == (3, 1, 50)
    assert taps["sflow"]["malformed"] == 1


def test_seconds_pass_without_packets(tmp_path: Path) -> None:
    """Counters alone: each second has its rows, and the differences add up."""
    statistics = tmp_path / "class/net/eth0/statistics"
    statistics.mkdir(parents=True)
    for name in ("rx_bytes", "tx_bytes", "rx_packets", "tx_packets"):
        (statistics / name).write_text("0")
    told: list[Second] = []
    with PortCounters(["eth0"], root=tmp_path) as counters:
        session = LiveSession(
            SilentFeed(),
            Monitor(MonitorOptions(collector="here")),
            sources=[CounterSource(counters, "counters", "here")],
        )

        def listen(second: Second) -> None:
            told.append(second)
            (statistics / "tx_bytes").write_text(str(1_000 * len(told)))
            if len(told) == 3:
                session.stop()

        session.listeners.append(listen)
        began = time.monotonic()
        session.run()
    assert 1.0 < time.monotonic() - began < 30.0
    rows = pl.concat([second.tables["link_samples"] for second in told])
    assert rows.filter(pl.col("direction") == "up")["bytes"].to_list() == [0, 1_000, 1_000, 1_000]
    assert rows["source"].unique().to_list() == ["counters"]
    starts = [second.start_ns for second in told]
    assert [b - a for a, b in pairwise(starts)] == [SECOND_NS] * 3
