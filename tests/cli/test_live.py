"""`live`, `replay` and `store` as they are called."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from wires import Cable

from fabricscope.schemas import schema_of
from fabricscope.store import DeltaStore


def call(
    arguments: Sequence[str], repository: Path, *, stdin: bytes | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fabricscope", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(repository / "src")}
    done = subprocess.run(command, capture_output=True, env=environment, input=stdin, timeout=300)
    return subprocess.CompletedProcess(
        command, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


@pytest.fixture(scope="module")
def kept(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with one replayed capture."""
    store = tmp_path_factory.mktemp("live") / "store"
    capture = str(repository / "pcaps/slow-link.pcap")
    done = call(["replay", capture, "--store", str(store), "--collector", "here"], repository)
    assert done.returncode == 0, done.stderr
    assert "998 packets analyzed, 0 dropped by the kernel" in " ".join(done.stdout.split())
    return store


def test_replay_keeps_what_it_saw(kept: Path) -> None:
    store = DeltaStore(kept)
    now = time.time_ns()
    iterations = store.query("iterations", now - 600 * 10**9, now)
    assert iterations["operation"].to_list() == ["allreduce"] * 4
    assert json.loads(iterations["straggler"][0])["ip"] == "10.0.0.2"
    assert store.query("tap_samples", 0, 10**19)["packets"].sum() == 998


def test_a_store_can_be_looked_at_and_taken_out_of(
    kept: Path, repository: Path, tmp_path: Path
) -> None:
    info = call(["store", "info", str(kept)], repository)
    assert "link_samples" in info.stdout
    query = ["store", "query", str(kept), "select sum(packets) as n from tap_samples", "--csv"]
    assert call(query, repository).stdout == "n\n998\n"
    assert "now" in call(["store", "compact", str(kept)], repository).stdout
    for ending in ("csv", "parquet", "json"):
        out = tmp_path / f"links.{ending}"
        done = call(["store", "export", str(kept), "link_samples", str(out)], repository)
        assert done.returncode == 0, done.stderr
        assert out.stat().st_size > 100


def test_formulas_in_texts_do_not_survive_as_csv(repository: Path, tmp_path: Path) -> None:
    store = DeltaStore(tmp_path / "store")
    alert = {
        "time_ns": 1,
        "collector": "=1+1",
        "rule": "@SUM(A1)",
        "subject": "ok",
        "severity": "-2",
        "state": "",
        "text": "a=b",
        "action": "",
        "value": -1.5,
    }
    alert = {name: alert.get(name) for name in schema_of("alerts")}
    store.append("alerts", pl.DataFrame([alert], schema=schema_of("alerts")))
    out = tmp_path / "out.csv"
    assert (
        call(["store", "export", str(store.root), "alerts", str(out)], repository).returncode == 0
    )
    expected = ["1", "'=1+1", "'@SUM(A1)", "ok", "'-2", "", "a=b", "", "-1.5"]
    assert list(csv.reader(out.read_text().splitlines()))[1][: len(expected)] == expected


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["live"], "needs either --interface IF"),
        (["live", "x.pcap"], "use `fabricscope replay`"),
        (["live", "--interface", "nosuch0"], "there is no interface nosuch0"),
        (["replay", "-"], "for a pipe use `fabricscope live -`"),
        (["replay", "nosuch.pcap"], "nosuch.pcap"),
        (["replay", "{capture}", "--keep", "soon", "--store", "{tmp}/s"], "'soon' is no time"),
        (["replay", "{capture}", "--max-size", "big", "--store", "{tmp}/s"], "'big' is no size"),
        (["store", "info", "nosuch"], "there is no store at nosuch"),
        (["store", "info", "{tmp}"], "holds no tables"),
        (["store", "query", "{store}", "select x from nothing"], "cannot be answered"),
        (["store", "export", "{store}", "nothing", "o.csv"], "no table nothing; it has"),
        (["store", "export", "{store}", "tap_samples", "o.xls"], "cannot tell the format"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    kept: Path, repository: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    places = {"capture": repository / "pcaps/slow-link.pcap", "tmp": tmp_path, "store": kept}
    done = call([text.format(**places) for text in arguments], repository)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_pipe_is_read_to_its_end(repository: Path, tmp_path: Path) -> None:
    capture = (repository / "pcaps/slow-link.pcap").read_bytes()
    store = str(tmp_path / "store")
    done = call(["live", "-", "--store", store, "--quiet"], repository, stdin=capture)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert DeltaStore(store).query("tap_samples", 0, 10**19)["packets"].sum() == 998


@pytest.mark.root
def test_a_mirror_port_is_watched_until_told_to_stop(
    cable: Cable, repository: Path, tmp_path: Path
) -> None:
    """Packets are filtered, seen and kept, and a stop loses none of them."""
    store = tmp_path / "store"
    command = [sys.executable, "-m", "fabricscope", "live", "--interface", cable.near]
    command += ["--store", str(store), "--filter", "udp port 4791"]
    environment = {**os.environ, "PYTHONPATH": str(repository / "src")}
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    frame = bytes(range(12)) + bytes.fromhex(
        "0800450000400000400040110000010203040506070812b712b7002c0000"
        "0a40ffff00000007800000010000000000000000"
    )
    frame += bytes(64 + 14 - len(frame))
    other = frame[:36] + b"\x00\x35" + frame[38:]

    def keep_sending() -> None:
        while running.poll() is None:
            cable.send([frame, other])
            time.sleep(0.01)

    sender = threading.Thread(target=keep_sending)
    sender.start()
    try:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            rows = DeltaStore(store).query("tap_samples", 0, 10**19)
            if rows["packets"].sum() > 20:
                break
            time.sleep(0.2)
    finally:
        running.send_signal(signal.SIGTERM)
        out, _ = running.communicate(timeout=60)
        sender.join()
    (told,) = re.findall(r"([\d,]+) packets analyzed", out)
    analyzed = int(told.replace(",", ""))
    rows = DeltaStore(store).query("tap_samples", 0, 10**19)
    assert rows["packets"].sum() == analyzed > 20
    assert rows["tap"].unique().to_list() == [cable.near]
