"""What a database is told, and what becomes of points by its answers, with a scripted server."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from examples.points import alerts

from fabricscope.errors import StoreError
from fabricscope.influx.address import parse_address
from fabricscope.influx.points import lines_of
from fabricscope.influx.store import InfluxStore
from fabricscope.recorder import Recorder


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


def test_a_store_opened_again_sends_what_waits(scripted: Scripted, tmp_path: Path) -> None:
    url = f"influx://127.0.0.1:{scripted.port}/x?spool={tmp_path}"
    store = InfluxStore(parse_address(url, {}))
    for number in range(3):
        with store:
            scripted.answers = [(503, "later")]
            store.append("alerts", alerts({"time_ns": number}))
            end = time.monotonic() + 20
            while store.waiting_points and time.monotonic() < end:
                time.sleep(0.02)
            assert (store.waiting_points, store.problem) == (0, "")
    assert store.resent_points == 3


def test_the_sender_outlives_what_nobody_thought_of(
    scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fabricscope.influx.store._LONGEST_WAIT_S", 0.05)
    url = f"influx://127.0.0.1:{scripted.port}/x?spool={tmp_path}"
    with InfluxStore(parse_address(url, {})) as store:
        assert store._spool is not None
        take, refusals = store._spool.take, [OSError("too many open files")]

        def refuse_once(limit: int) -> object:
            if refusals:
                raise refusals.pop()
            return take(limit)

        monkeypatch.setattr(store._spool, "take", refuse_once)
        scripted.answers = [(503, "later")]
        store.append("alerts", alerts({}))
        end = time.monotonic() + 20
        while store.waiting_points and time.monotonic() < end:
            time.sleep(0.02)
        assert (store.waiting_points, refusals, store.resent_points) == (0, [], 1)


def test_what_an_earlier_opening_met_is_not_said_of_the_next(
    scripted: Scripted, tmp_path: Path
) -> None:
    url = f"influx://127.0.0.1:{scripted.port}/x?spool={tmp_path}"
    store = InfluxStore(parse_address(url, {}))
    store.problem = "the server was away; 1 points wait"
    with store:
        assert store.problem == ""


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
