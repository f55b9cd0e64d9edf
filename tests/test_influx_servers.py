"""Points in real servers: InfluxDB 1.6.7 and VictoriaMetrics, stopped and killed in between."""

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from examples.points import SECOND_NS, START_S, numbered
from servers import DatabaseServer, InfluxServer, VictoriaServer

from fabricscope.errors import StoreError
from fabricscope.influx.store import InfluxStore
from fabricscope.schemas import declared, schema_of
from fabricscope.store import DeltaStore, fold, open_store

pytestmark = pytest.mark.server
AWAY_S = float(os.environ.get("FABRICSCOPE_AWAY_S", "4"))
"""How long a server is away in the middle of a stream, and of how many points."""
STREAM_POINTS = int(os.environ.get("FABRICSCOPE_STREAM_POINTS", "20000"))


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxServer]:
    server = InfluxServer(tmp_path_factory.mktemp("influx"))
    server.start()
    server.prepare()
    yield server
    server.stop()


def store_at(server: InfluxServer | VictoriaServer, spool: Path, options: str = "") -> InfluxStore:
    store = open_store(server.store(spool, options))
    assert isinstance(store, InfluxStore)
    return store


def rows_of(table: str, rows: int, seed: int = 1) -> pl.DataFrame:
    """Return rows of any table with values of every kind, some of them null."""
    dice = random.Random(seed)
    texts = ["", "plain", "a b", 'c="d",e', "back\\slash", "é∀", "it's", "[1,2]", "a=b"]

    def value(dtype: pl.DataType) -> Any:
        if isinstance(dtype, pl.List):
            return [value(dtype.inner) for _ in range(dice.randrange(4))]  # type: ignore[arg-type]
        if dtype == pl.String():
            return dice.choice(texts)
        if dtype.is_float():
            return dice.choice([0.0, -1.5, 1e300, 7.0, 0.1])
        bits = {"Int64": 63, "Int32": 31, "UInt32": 32, "UInt16": 16, "UInt8": 8}[str(dtype)]
        return dice.randrange(2**bits)

    schema = schema_of(table)
    columns = {name: [value(dtype) for _ in range(rows)] for name, dtype in schema.items()}
    columns["time_ns"] = [START_S * SECOND_NS + number for number in range(rows)]
    return pl.DataFrame(columns, schema=schema)


@pytest.mark.parametrize("table", list(declared()))
def test_every_table_is_read_back_as_it_was_written(
    influx: InfluxServer, tmp_path: Path, table: str
) -> None:
    rows = rows_of(table, 200)
    with store_at(influx, tmp_path) as store:
        store.append(table, rows)
        assert (store.sent_points, store.refused_points, store.problem) == (200, 0, "")
        found = store.query(table, START_S * SECOND_NS, START_S * SECOND_NS + 200)
        assert found.to_dicts() == rows.to_dicts()
        some = store.query(
            table,
            START_S * SECOND_NS + 50,
            START_S * SECOND_NS + 60,
            columns=["time_ns"],
            where=pl.col("time_ns") % 2 == 0,
        )
        assert some["time_ns"].to_list() == [START_S * SECOND_NS + k for k in range(50, 60, 2)]


def test_nulls_stay_nulls_and_rows_without_the_chosen_field_stay_rows(
    influx: InfluxServer, tmp_path: Path
) -> None:
    rows = rows_of("link_samples", 30).with_columns(
        collector=pl.lit("nulls"),
        rate_gbps=pl.lit(None, pl.Float64),
        score=pl.when(pl.col("time_ns") % 2 == 0).then(pl.col("score")),
    )
    with store_at(influx, tmp_path) as store:
        store.append("link_samples", rows)
        own = pl.col("collector") == "nulls"
        found = store.query("link_samples", 0, 10**19, where=own)
        assert found.to_dicts() == rows.to_dicts()
        scores = store.query("link_samples", 0, 10**19, columns=["score"], where=own)
        assert scores["score"].to_list() == rows["score"].to_list()
        assert store.query("alerts", 0, 10).is_empty()


@pytest.mark.parametrize(
    "table", ["tap_samples", "link_samples", "rdma_samples", "application_samples"]
)
def test_the_server_folds_as_a_directory_does(
    influx: InfluxServer, tmp_path: Path, table: str
) -> None:
    rows = rows_of(table, 900, seed=3).with_columns(
        time_ns=(2_000_000_000 + pl.int_range(900)) * SECOND_NS,
        collector=pl.lit("folds"),
    )
    keys = [c.name for c in declared()[table] if c.fold == "key" and c.name != "time_ns"]
    # Few subjects, and sums and means that stay within what both sides can hold.
    texts = [pl.lit(key).alias(key) for key in keys[1:] if rows.schema[key] == pl.String()]
    numbers = [
        (pl.col(name) % 1_000).cast(dtype)
        for name, dtype in rows.schema.items()
        if dtype.is_numeric() and name not in ("time_ns", "dest_qp")
    ]
    rows = rows.with_columns(*texts, *numbers)
    if "dest_qp" in keys:
        rows = rows.with_columns(dest_qp=pl.col("dest_qp") % 3)
    with store_at(influx, tmp_path) as store:
        store.append(table, rows)
        found = store.query(
            table, 2_000_000_000 * SECOND_NS, 2_000_000_900 * SECOND_NS, max_points=100
        )
    expected = fold(table, rows, 10 * SECOND_NS)
    order = ["time_ns", *keys]
    differ = [
        name
        for name in expected.columns
        if not np.allclose(*_numbers(found.sort(order)[name], expected.sort(order)[name]))
    ]
    assert found.height == expected.height
    assert not differ


def _numbers(one: pl.Series, other: pl.Series) -> tuple[Any, Any]:
    if one.dtype.is_numeric():
        return one.to_numpy(), other.to_numpy()
    return np.array([list(one) == list(other)]), np.array([True])


def test_packets_cannot_write_points_of_their_own(influx: InfluxServer, tmp_path: Path) -> None:
    """Whatever stands in a name or a text, one row stays one point."""
    dice = random.Random(5)
    signs = 'a=, \\"\n\r\t\x00é\x1b\u2028'
    texts = ["".join(dice.choices(signs, k=dice.randrange(1, 12))) for _ in range(500)]
    rows = rows_of("alerts", 500).with_columns(
        time_ns=pl.int_range(500) + 10,
        subject=pl.Series(texts),
        text=pl.Series(reversed(texts)),
        collector=pl.lit("hostile"),
    )
    with store_at(influx, tmp_path) as store:
        store.append("alerts", rows)
        assert store.refused_points == 0
        found = store.query("alerts", 0, 1_000)
    assert found["time_ns"].to_list() == rows["time_ns"].to_list()
    assert found["collector"].unique().to_list() == ["hostile"]
    breaks = str.maketrans("\n\r\t", "   ")
    assert found["text"].to_list() == [text.translate(breaks) for text in rows["text"]]
    names = {row[0] for row in influx.ask("SHOW MEASUREMENTS")[0]["values"]}
    assert names <= set(declared())


def test_one_subject_is_found_whatever_its_name(influx: InfluxServer, tmp_path: Path) -> None:
    names = ["", "plain", "it's", "it\\'s", 'say "no"', "a\\\\'b", "' OR 1=1 --", "é∀ x=1,y"]
    rows = rows_of("link_samples", len(names)).with_columns(
        collector=pl.lit("names"), link=pl.Series(names)
    )
    with store_at(influx, tmp_path) as store:
        store.append("link_samples", rows)
        for name, row in zip(names, rows.iter_rows(named=True), strict=True):
            where = (pl.col("collector") == "names") & (pl.col("link") == name)
            assert store.query("link_samples", 0, 10**19, where=where).to_dicts() == [row]
            folded = store.query(
                "link_samples", 0, 10**19, columns=["link", "score"], where=where, max_points=10
            )
            assert folded.to_dicts() == [{"link": name, "score": row["score"]}]


def stream_through(
    server: DatabaseServer, store: InfluxStore, points: int, number: signal.Signals
) -> None:
    """Append points at an even pace; take the server away for AWAY_S in the middle."""
    batches = 200
    pace_s = 2 * AWAY_S / batches

    def interrupt() -> None:
        time.sleep(0.5 * AWAY_S)
        server.stop(number)
        time.sleep(AWAY_S)
        server.start()

    away = threading.Thread(target=interrupt)
    away.start()
    for start in range(0, points, points // batches):
        store.append("tap_samples", numbered(start, points // batches))
        time.sleep(pace_s)
    away.join()
    end = time.monotonic() + 60
    while store.waiting_points and time.monotonic() < end:
        time.sleep(0.1)


@pytest.mark.slow
def test_influxdb_killed_in_a_stream_has_every_point_once(tmp_path: Path) -> None:
    server = InfluxServer(tmp_path / "server")
    server.start()
    server.prepare()
    try:
        with store_at(server, tmp_path / "spool") as store:
            stream_through(server, store, STREAM_POINTS, signal.SIGKILL)
            assert store.problem == ""
            assert store.resent_points == store.spooled_points > STREAM_POINTS // 10
            assert (store.dropped_points, store.refused_points) == (0, 0)
            assert store.sent_points == STREAM_POINTS
            waited = f"{store.spooled_points:,}"
            assert store.note == f"{waited} points waited on disk, {waited} sent since"
            found = store.query("tap_samples", 0, 10**19)
        assert sorted(found["packets"]) == list(range(STREAM_POINTS))
    finally:
        server.stop()


def exported(server: VictoriaServer) -> list[int]:
    series = server.export('{__name__="tap_samples_packets",collector="stream"}')
    return sorted(int(value) for one in series for value in one["values"])


@pytest.mark.slow
def test_victoriametrics_restarted_in_a_stream_has_every_point_once(tmp_path: Path) -> None:
    server = VictoriaServer(tmp_path / "server")
    server.start()
    try:
        with store_at(server, tmp_path / "spool") as store:
            stream_through(server, store, STREAM_POINTS, signal.SIGTERM)
            assert store.resent_points == store.spooled_points > STREAM_POINTS // 10
            assert (store.dropped_points, store.refused_points) == (0, 0)
            assert exported(server) == list(range(STREAM_POINTS))
            # Sent a second time, as after a crash of ours, they count once.
            store.append("tap_samples", numbered(0, 1_000))
            assert exported(server) == list(range(STREAM_POINTS))
            with pytest.raises(StoreError, match="which is written but not read back"):
                store.query("tap_samples", 0, 10**19)
    finally:
        server.stop()


WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
from examples.points import numbered
from fabricscope.store import open_store
start = int(sys.argv[3])
with open_store(sys.argv[1]) as store:
    while True:
        store.append("tap_samples", numbered(start, 50))
        start += 50
        print(start, store.waiting_points, flush=True)
"""


@pytest.mark.slow
def test_our_own_death_loses_nothing_that_was_kept(tmp_path: Path, repository: Path) -> None:
    """The writer is killed again and again while the server goes and comes."""
    server = InfluxServer(tmp_path / "server")
    server.start()
    server.prepare()
    url = server.store(tmp_path / "spool")
    environment = {**os.environ, "PYTHONPATH": str(repository / "src")}
    command = [sys.executable, "-c", WRITER, url, str(Path(__file__).parent)]
    kept = 0
    try:
        for here in (True, False, True, False, True):
            if not here:
                server.stop(signal.SIGKILL)
            with subprocess.Popen(
                [*command, str(kept)], stdout=subprocess.PIPE, text=True, env=environment
            ) as writer:
                assert writer.stdout is not None
                for line in itertools.islice(writer.stdout, 40):
                    kept = int(line.split()[0])
                writer.kill()
                kept = max([kept, *(int(line.split()[0]) for line in writer.stdout)])
            if not here:
                server.start()
        with store_at(server, tmp_path / "spool") as store:
            end = time.monotonic() + 30
            while store.waiting_points and time.monotonic() < end:
                time.sleep(0.1)
            found = sorted(store.query("tap_samples", 0, 10**19)["packets"])
        assert found == list(range(len(found)))
        assert len(found) >= kept >= 5 * 40 * 50
    finally:
        server.stop()


def test_points_that_are_never_taken_are_counted_and_hold_nobody_up(
    influx: InfluxServer, tmp_path: Path
) -> None:
    influx.ask("CREATE DATABASE short WITH DURATION 1h")
    url = influx.store(tmp_path).replace("/fabric?", "/short?")
    now = time.time_ns()
    with open_store(url) as store:
        rows = rows_of("tap_samples", 40).with_columns(
            time_ns=pl.when(pl.int_range(40) < 15)
            .then(pl.int_range(40) + 1)
            .otherwise(now + pl.int_range(40))
        )
        store.append("tap_samples", rows)
        assert isinstance(store, InfluxStore)
        assert (store.refused_points, store.sent_points) == (15, 25)
        assert store.query("tap_samples", 0, 10**19).height == 25


def test_a_directory_and_a_database_answer_alike(influx: InfluxServer, tmp_path: Path) -> None:
    directory = DeltaStore(tmp_path / "directory")
    rows = rows_of("rdma_samples", 50).with_columns(
        time_ns=pl.int_range(50), collector=pl.lit("x"), dest_qp=pl.col("dest_qp") % 2**24
    )
    with store_at(influx, tmp_path / "spool") as store:
        for one in (store, directory):
            one.append("rdma_samples", rows)
        columns = ["time_ns", "packets", "dest_qp", "state"]
        answers = [
            one.query("rdma_samples", 5, 40, columns=columns, where=pl.col("packets") > 10**18)
            for one in (store, directory)
        ]
    assert answers[0].equals(answers[1])
    assert answers[0].height > 10
