"""The demo's whole system: three collectors, one store, the site."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import polars as pl
import pytest

from fabricscope.cli import demo_system
from fabricscope.errors import ConfigError
from fabricscope.store import open_store

ROOT = Path(__file__).resolve().parents[2]
FOREVER = 1 << 62
SCRIPT = """
from pathlib import Path
from fabricscope.cli import demo_system
demo_system.CHECKOUT = Path({folder!r})
if __name__ == "__main__":
    demo_system.run(demo_system.DemoRequest(port={port}))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_wheel_without_captures_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_system, "CHECKOUT", tmp_path)
    with pytest.raises(ConfigError, match="run it in a checkout"):
        demo_system.run(demo_system.DemoRequest())


def test_a_second_demo_leaves_the_first_ones_store_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.symlink(ROOT / "pcaps", tmp_path / "pcaps")
    monkeypatch.setattr(demo_system, "CHECKOUT", tmp_path)
    kept = tmp_path / "build" / "demo" / "store" / "kept"
    kept.parent.mkdir(parents=True)
    kept.touch()
    with (tmp_path / "build" / "demo" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="Another demo runs"):
            demo_system.run(demo_system.DemoRequest())
    assert kept.exists()


def test_the_system_fills_its_store_and_answers(tmp_path: Path) -> None:
    os.symlink(ROOT / "pcaps", tmp_path / "pcaps")
    port = free_port()
    # A file, not -c: the collectors' processes import the main module again.
    script = tmp_path / "demo.py"
    script.write_text(SCRIPT.format(folder=str(tmp_path), port=port), encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    output = tmp_path / "output"
    with output.open("wb") as stream:
        child = subprocess.Popen([sys.executable, str(script)], env=environment, stderr=stream)
    try:
        store = open_store(str(tmp_path / "build" / "demo" / "store"))
        wanted = {"link_samples": {"fabric", "rdma", "jobs"}, "iterations": {"fabric", "jobs"}}
        deadline_s = time.monotonic() + 240
        missing = dict(wanted)
        while missing and time.monotonic() < deadline_s:
            assert child.poll() is None, output.read_text(encoding="utf-8")
            time.sleep(1)
            missing = {
                table: names
                for table, names in wanted.items()
                if names - set(store.query(table, 0, FOREVER)["collector"].unique().to_list())
            }
        assert not missing
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
            assert b"Fabricscope" in answer.read()
        links = store.query("link_samples", 0, FOREVER, where=pl.col("collector") == "fabric")
        history_s = (links["time_ns"].max() - links["time_ns"].min()) / 1e9  # type: ignore[operator]
        assert history_s >= demo_system.HISTORY_S - 1
        assert (tmp_path / "build" / "demo" / "captures" / "recorded-slow-link.pcap.gz").is_file()
        child.send_signal(signal.SIGINT)
        child.wait(30)
    finally:
        child.kill()
        child.wait()
