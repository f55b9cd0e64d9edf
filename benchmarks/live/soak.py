"""Half an hour of a collector: memory, files, and how long its store takes to answer.

    python benchmarks/live/soak.py [--minutes 30] [--links 2000] [--speed 10]

A generated second of traffic, with every link busy in both directions and two training jobs, is
replayed again and again at ten times its pace into a store. Once a minute: resident memory, files
and size of the store, how far the replay is behind, and how long it takes from another process to
get one link's samples and all links' samples of the whole time. Prints a table in Markdown.
"""

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from traffic import merge_captures

from fabricscope.collectors.synthetic import generate
from fabricscope.store import DeltaStore

HERE: Final = Path(__file__).resolve().parent
JOB_RANKS: Final = 8
ASKED_S: Final = 60.0
ANSWERS: Final = 5


@dataclass(frozen=True)
class Look:
    """What was seen at one moment."""

    minutes: float
    resident_mib: float
    files: int
    store_mib: float
    covered_s: float
    rows: int
    one_link_ms: float
    all_links_ms: float


def recipe(hosts: int, ip_version: int) -> str:
    """Return a second of traffic between `hosts` hosts: a ring of UDP flows, and a job."""
    plain = list(range(JOB_RANKS, hosts))
    pairs = [[one, other] for one, other in zip(plain, plain[1:] + plain[:1], strict=True)]
    return f"""
description = "every link busy"
[network]
hosts = {hosts}
ip_version = {ip_version}
[capture]
snaplen = 128
[[workloads]]
kind = "allreduce"
algorithm = "ring"
ranks = {list(range(JOB_RANKS))}
message_bytes = 262144
iterations = 4
compute_us = 230000.0
[[workloads]]
kind = "udp"
pairs = {pairs}
port = 9000
packets = 4
interval_us = 240000.0
"""


def make_capture(links: int, folder: Path) -> Path:
    """Return a capture of a second with so many links."""
    parts = []
    for ip_version in (4, 6):
        text = folder / f"recipe{ip_version}.toml"
        text.write_text(recipe(links // 2, ip_version))
        parts.append(folder / f"part{ip_version}.pcap")
        generate(str(text), str(parts[-1]))
    merged = folder / "second.pcap"
    merge_captures(parts, merged)
    return merged


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def ask(store: DeltaStore, span: tuple[int, int], link: str) -> tuple[float, float, int]:
    """Return how long one link and all links of the whole time take, ms, and the rows of all."""
    import polars as pl

    start_ns, end_ns = span[0], span[1] + 1
    times: tuple[list[float], list[float]] = ([], [])
    rows = 0
    for _ in range(ANSWERS):
        begin = time.perf_counter()
        one = store.query(
            "link_samples", start_ns, end_ns, where=pl.col("link") == link, max_points=2_000
        )
        middle = time.perf_counter()
        everything = store.query(
            "link_samples", start_ns, end_ns, columns=["time_ns", "link", "direction",
            "utilization", "score"], max_points=max(2, int((end_ns - start_ns) / 3.6e12) + 1)
        )  # fmt: skip
        end = time.perf_counter()
        times[0].append((middle - begin) * 1e3)
        times[1].append((end - middle) * 1e3)
        assert one.height > 0
        rows = everything.height
    return statistics.median(times[0]), statistics.median(times[1]), rows


def look(began_s: float, pid: int, store: DeltaStore) -> Look | None:
    """Return what there is to see now, None before there is anything."""
    span = store.span("link_samples")
    if span is None:
        return None
    files = [path for path in store.root.rglob("*") if path.is_file()]
    one, everything, rows = ask(store, span, "10.0.0.20")
    size = 0
    for path in files:
        try:
            size += path.stat().st_size
        except FileNotFoundError:
            continue
    return Look(
        (time.monotonic() - began_s) / 60,
        resident_mib(pid),
        len(files),
        size / 2**20,
        (span[1] - span[0]) / 1e9 + 1,
        rows,
        one,
        everything,
    )


def show(looks: list[Look]) -> None:
    """Print the table."""
    print("| minutes | memory, MiB | files | store, MiB | time in the store, s "
          "| one link, ms | all links, ms |")  # fmt: skip
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for one in looks:
        print(
            f"| {one.minutes:.0f} | {one.resident_mib:.0f} | {one.files} | {one.store_mib:.0f} | "
            f"{one.covered_s:,.0f} | {one.one_link_ms:.0f} | {one.all_links_ms:.0f} |"
        )


def main() -> None:
    """Run the collector and look at it once a minute."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--links", type=int, default=2_000)
    parser.add_argument("--speed", type=float, default=10.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        capture = make_capture(options.links, folder)
        store = DeltaStore(folder / "store")
        command = [sys.executable, "-m", "fabricscope", "replay", str(capture), "--quiet"]
        command += ["--speed", str(options.speed), "--loops", "0", "--store", str(store.root)]
        command += ["--collector", "soak", "--no-default-rules"]
        with (folder / "errors.txt").open("wb") as errors:
            running = subprocess.Popen(command, stderr=errors, env=dict(os.environ))
        looks: list[Look] = []
        try:
            began_s = time.monotonic()
            while time.monotonic() - began_s < options.minutes * 60 and running.poll() is None:
                time.sleep(ASKED_S)
                seen = look(began_s, running.pid, store)
                if seen is not None:
                    looks.append(seen)
                    print(seen, file=sys.stderr, flush=True)
        finally:
            running.send_signal(signal.SIGTERM)
            running.wait(120)
        print((folder / "errors.txt").read_text(), file=sys.stderr)
        step = max(len(looks) // 10, 1)
        show([*looks[:-1:step], looks[-1]])
        print(f"\nEnded with status {running.returncode}; {options.links:,} links, "
              f"{options.speed:g} times the packets' own pace.")  # fmt: skip


if __name__ == "__main__":
    main()
