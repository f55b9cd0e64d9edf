"""URLs, points, the spool and InfluxQL without a server; test_influx_servers.py has real ones."""

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import polars as pl
import pytest

from fabricscope.errors import ConfigError, StoreError
from fabricscope.influx.address import parse_address
from fabricscope.influx.influxql import frame_of, select_folded, select_rows, tag_equalities
from fabricscope.influx.points import field_columns, lines_of, tag_columns
from fabricscope.influx.spool import Spool
from fabricscope.influx.store import InfluxStore
from fabricscope.recorder import Recorder
from fabricscope.schemas import declared, schema_of
from fabricscope.store import DeltaStore, open_store

ALERT = {
    "time_ns": 1_700_000_000_123_456_789,
    "collector": "one",
    "rule": "slow link",
    "subject": "leaf1, port=3",
    "severity": "warning",
    "state": "firing",
    "text": 'he said "no"\nand left\\',
    "action": "",
    "value": 2.5,
    "table": "link_samples",
    "since_ns": 1_700_000_000_000_000_000,
    "until_ns": None,
    "by": "",
}


def alerts(*changes: dict[str, object]) -> pl.DataFrame:
    rows = [{**ALERT, **change} for change in changes]
    return pl.DataFrame(rows, schema=schema_of("alerts"))


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
    question = select_folded("tap_samples", "10s", 0, 100, ["level"])
    assert 'sum("packets") AS "packets"' in question
    assert 'max("level") AS "level"' in question
    assert 'GROUP BY time(10s), "collector", "tap" fill(none)' in question


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


Opener = Callable[..., Spool]


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Return what opens a spool; all are closed in the end."""
    spools: list[Spool] = []

    def open_one(root: Path, max_bytes: int = 1 << 30) -> Spool:
        spools.append(Spool(root, max_bytes))
        spools[-1].open()
        return spools[-1]

    yield open_one
    for spool in spools:
        spool.close()


def drained(spool: Spool, limit: int) -> list[str]:
    found = []
    while (batch := spool.take(limit)) is not None:
        assert 0 < len(batch.lines) <= limit
        found += batch.lines
        spool.done(batch)
    return found


def test_what_waits_comes_out_in_order(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fabricscope.influx.spool.SEGMENT_BYTES", 100)
    spool = opened(tmp_path)
    lines = [f"line {number} é" for number in range(200)]
    for start in range(0, 200, 8):
        spool.add(lines[start : start + 8])
    assert spool.waiting == 200
    assert drained(spool, 3) == lines
    assert spool.waiting == 0
    assert list(tmp_path.glob("*.lines")) == []
    spool.add(["later"])
    assert drained(spool, 3) == ["later"]


@pytest.mark.parametrize("taken", [0, 3, 12, 13])
def test_what_waits_survives_the_process(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    """Without closing, and with a last line that was cut off."""
    monkeypatch.setattr("fabricscope.influx.spool.SEGMENT_BYTES", 60)
    spool = opened(tmp_path)
    lines = [f"line {number}" for number in range(30)]
    for start in range(0, 30, 6):
        spool.add(lines[start : start + 6])
    for _ in range(taken):
        batch = spool.take(1)
        assert batch is not None
        spool.done(batch)
    spool.close()
    with max(tmp_path.glob("*.lines")).open("a") as file:
        file.write("line 99 is not whol")
    spool = opened(tmp_path)
    assert spool.waiting == 30 - taken
    spool.add(["new"])
    assert drained(spool, 4) == [*lines[taken:], "new"]


def test_a_position_that_makes_no_sense_sends_all_again(opened: Opener, tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.add(["one", "two"])
    spool.close()
    for text in ("", "00000001.lines", "00000001.lines 2 bytes", "00000001.lines 900 bytes", "x"):
        (tmp_path / "position").write_text(text)
        again = opened(tmp_path)
        assert again.take(9).lines == ["one", "two"]  # type: ignore[union-attr]
        again.close()


def test_beyond_its_bound_the_oldest_are_given_up_and_counted(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fabricscope.influx.spool.SEGMENT_BYTES", 100)
    spool = opened(tmp_path, max_bytes=500)
    lines = [f"line {number:04d}" for number in range(300)]
    spool.add(lines[:10])
    first = spool.take(4)
    assert first is not None
    for line in lines[10:]:
        spool.add([line])
    assert sum(path.stat().st_size for path in tmp_path.glob("*.lines")) <= 500
    spool.done(first)  # was under way while the bound gave it up
    left = drained(spool, 50)
    assert left == lines[-len(left) :]
    assert spool.dropped == 300 - 4 - len(left)
    assert spool.waiting == 0


def test_a_spool_belongs_to_one_process(opened: Opener, tmp_path: Path) -> None:
    spool = opened(tmp_path)
    with pytest.raises(StoreError, match="is the spool of another running process; give this one"):
        opened(tmp_path)
    spool.close()
    opened(tmp_path).close()


def test_a_spool_that_cannot_be_written_is_named(opened: Opener, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot be spooled in .*name a folder"):
        opened(tmp_path / "file" / "spool")


def test_a_full_disk_takes_nothing_in_part(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = opened(tmp_path)
    spool.add(["one"])
    with monkeypatch.context() as patch:

        def refuse(number: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patch.setattr(os, "fsync", refuse)
        with pytest.raises(StoreError, match="No space left on device"):
            spool.add(["two", "three"])
    assert spool.waiting == 1
    spool.add(["two"])
    assert drained(spool, 9) == ["one", "two"]


KILLED = """
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from fabricscope.influx.spool import Spool
spool = Spool(Path(sys.argv[1]), 1 << 30)
spool.open()
number = 0
while True:
    spool.add([f"line {number + k}" for k in range(7)])
    number += 7
    print(number, flush=True)
"""


def test_a_kill_loses_nothing_that_was_said_to_be_kept(
    opened: Opener, tmp_path: Path, repository: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(repository / "src")}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) > 300:
                writer.kill()
                break
        said = [int(line), *map(int, writer.stdout.read().split())][-1]
    spool = opened(tmp_path)
    found = drained(spool, 100)
    assert found == [f"line {number}" for number in range(len(found))]
    assert len(found) >= said


class Scripted:
    """A server of InfluxDB's version 2 path that gives the answers it was told, then 204."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, str]] = []
        self.requests: list[tuple[str, str, list[str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                key = self.headers.get("Authorization", "")
                outer.requests.append((self.path, key, body.splitlines()))
                status, text = outer.answers.pop(0) if outer.answers else (204, "")
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *arguments: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    server = Scripted()
    yield server
    server.close()


def test_version_2_is_told_bucket_organization_and_token(
    scripted: Scripted, tmp_path: Path
) -> None:
    url = f"influx://127.0.0.1:{scripted.port}/fab ric?org=lab&precision=ms&spool={tmp_path}"
    # Nothing to write is a mistake to version 2, which still shows that it knows us.
    scripted.answers = [(400, '{"code":"invalid","message":"no data"}')]
    with InfluxStore(parse_address(url, {"INFLUX_TOKEN": "t0ken"})) as store:
        store.append("alerts", alerts({}))
    path, key, lines = scripted.requests[-1]
    assert path.partition("?")[0] == "/api/v2/write"
    assert parse_qs(path.partition("?")[2]) == {
        "org": ["lab"],
        "bucket": ["fab ric"],
        "precision": ["ms"],
    }
    assert key == "Token t0ken"
    assert lines == list(lines_of("alerts", alerts({}), "ms"))


@pytest.mark.parametrize(
    ("status", "text", "sentence"),
    [
        (401, '{"code":"unauthorized","message":"unauthorized access"}', "refuses the credentials"),
        (404, '{"code":"not found","message":"bucket \\"x\\" not found"}', "has no database x"),
    ],
)
def test_version_2_says_what_is_wrong_with_us(
    scripted: Scripted, tmp_path: Path, status: int, text: str, sentence: str
) -> None:
    scripted.answers = [(status, text)]
    url = f"influx://127.0.0.1:{scripted.port}/x?spool={tmp_path}"
    with pytest.raises(StoreError, match=sentence):
        InfluxStore(parse_address(url, {})).open()


def test_answers_decide_what_becomes_of_points(scripted: Scripted, tmp_path: Path) -> None:
    """Too much is halved, nonsense is counted, and trouble makes points wait in their order."""
    url = f"influx://127.0.0.1:{scripted.port}/x?spool={tmp_path}"
    four = alerts(*({"time_ns": number} for number in range(4)))
    lines = list(lines_of("alerts", four, "ns"))
    with InfluxStore(parse_address(url, {})) as store:
        scripted.answers = [(413, "too large"), (204, ""), (422, '{"message":"dropped=1"}')]
        store.append("alerts", four)
        assert (store.sent_points, store.refused_points) == (3, 1)
        assert [sent for _, _, sent in scripted.requests[-3:]] == [lines, lines[:2], lines[2:]]
        scripted.requests.clear()
        scripted.answers = [(503, "later"), (429, "later"), (500, '{"error":"timeout"}')]
        store.append("alerts", four[:1])
        store.append("alerts", four[1:])
        end = time.monotonic() + 20
        while store.waiting_points and time.monotonic() < end:
            time.sleep(0.02)
        arrived = [line for _, _, sent in scripted.requests[3:] for line in sent]
        assert arrived == lines
        assert (store.spooled_points, store.resent_points, store.problem) == (4, 4, "")


def test_a_server_that_is_not_there_makes_points_wait(tmp_path: Path) -> None:
    """The recorder counts them as kept, and says what stands in the way."""
    url = f"influx://127.0.0.1:9/x?spool={tmp_path}"
    with InfluxStore(parse_address(url, {})) as store:
        recorder = Recorder(store, "one")
        recorder.append("alerts", alerts({}, {"rule": "second"}))
        assert recorder.flush() == 2
        recorder.upkeep()
        assert recorder.problem == (
            "http://127.0.0.1:9 is away (connection refused); points wait on disk"
        )
        assert (store.spooled_points, store.waiting_points, store.sent_points) == (2, 2, 0)
        with pytest.raises(StoreError, match=r"is away \(connection refused\)"):
            store.query("alerts", 0, 10)
    assert f"2 points wait in {tmp_path} for the next run" in store.problem
    with InfluxStore(parse_address(url, {})) as store:
        assert store.waiting_points == 2
