"""Two network namespaces and a wire between them, a sender, and who watches the other end."""

import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from fabricscope.store import DeltaStore

__all__ = [
    "Account",
    "Collector",
    "Wire",
    "cpu_s",
    "on_a_wire",
    "send_at_top_speed",
    "send_in_batches",
    "within",
]

_TICKS: Final = os.sysconf("SC_CLK_TCK")
READY_S: Final = 300.0


@dataclass(frozen=True)
class Wire:
    """Interfaces `near` (the mirror port, in its namespace) and `far` (where the sender is)."""

    near_space: str
    far_space: str
    near: str
    far: str


def within(space: str, *command: str) -> list[str]:
    """Return a command that runs in a network namespace."""
    return ["ip", "netns", "exec", space, *command]


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def on_a_wire() -> Iterator[Wire]:
    """Make the namespaces and the wire, and take them away again."""
    number = os.getpid() % 100_000
    wire = Wire(f"fsn{number}", f"fsf{number}", f"fsm{number}", f"fss{number}")
    made = []
    try:
        for space in (wire.near_space, wire.far_space):
            _run("ip", "netns", "add", space)
            made.append(space)
            _run(*within(space, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"))
            _run(*within(space, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"))
        _run("ip", "link", "add", wire.far, "netns", wire.far_space, "type", "veth", "peer", "name",
             wire.near, "netns", wire.near_space)  # fmt: skip
        for space, end in ((wire.near_space, wire.near), (wire.far_space, wire.far)):
            _run(*within(space, "ip", "link", "set", end, "mtu", "9000", "up"))
        yield wire
    finally:
        for space in made:
            subprocess.run(["ip", "netns", "del", space], check=False)


def cpu_s(pid: int) -> float:
    """Return the processor time of a process and its threads so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@dataclass(frozen=True)
class Account:
    """What became of the packets, by the collector's own count."""

    analyzed: int
    skipped: int
    dropped: int
    missed: int
    levels: list[int]
    sampling: int

    @property
    def total(self) -> int:
        """All packets that came."""
        return self.analyzed + self.skipped + self.dropped + self.missed


class Collector:
    """`fabricscope live` with a store, on the near end of a wire."""

    def __init__(self, wire: Wire, folder: Path, *options: str) -> None:
        """Start it and wait until its ring is open."""
        self.store = DeltaStore(folder / "store")
        self._errors = folder / "errors.txt"
        command = [sys.executable, "-m", "fabricscope", "live", "--interface", wire.near]
        command += ["--store", str(self.store.root), "--collector", "bench", "--quiet", *options]
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                within(wire.near_space, *command), stderr=errors, env=dict(os.environ)
            )
        end_s = time.monotonic() + READY_S
        while not self.rows("tap_samples").height:
            if self.process.poll() is not None or time.monotonic() > end_s:
                raise SystemExit(f"the collector did not start: {self._errors.read_text()}")
            time.sleep(0.2)

    def rows(self, table: str) -> pl.DataFrame:
        """Return all rows of a table so far."""
        return self.store.query(table, 0, 1 << 62)

    def account(self) -> Account:
        """Stop the collector and return what it counted."""
        self.process.terminate()
        if self.process.wait(120):
            raise SystemExit(f"the collector failed: {self._errors.read_text()}")
        taps = self.rows("tap_samples").sort("time_ns")
        total = taps.select(pl.col("packets", "skipped", "dropped", "missed").sum()).row(0)
        sampling = int(taps["sampling"].max() or 1)
        return Account(*total, levels=taps["level"].to_list(), sampling=sampling)


def send_in_batches(
    wire: Wire, capture: Path, seconds: float, rate: float = math.inf
) -> tuple[int, float]:
    """Send at most `rate` packets/s, many with a system call; return packets and seconds taken."""
    _run(*within(wire.far_space, "ethtool", "-K", wire.far, "tx-udp-segmentation", "off"))
    script = str(Path(__file__).with_name("sender.py"))
    command = [sys.executable, script, wire.far, str(capture), str(seconds), str(rate)]
    done = subprocess.run(within(wire.far_space, *command), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    sent, took_s = done.stdout.split()
    return int(sent), float(took_s)


def send_at_top_speed(wire: Wire, capture: Path, seconds: float) -> tuple[int, float]:
    """Send a capture again and again; return packets sent and seconds taken."""
    command = ["tcpreplay", "--quiet", "--preload-pcap", "--topspeed", "--loop=1000000"]
    command += [f"--duration={seconds:.0f}", f"--intf1={wire.far}", str(capture)]
    done = subprocess.run(
        within(wire.far_space, *command), capture_output=True, text=True, timeout=seconds * 3 + 60
    )
    said = done.stdout + done.stderr
    sent = re.search(r"Successful packets:\s+(\d+)", said)
    took = re.search(r"sent in ([\d.]+) seconds", said)
    if not sent or not took:
        raise SystemExit(f"tcpreplay: {said.strip()}")
    return int(sent[1]), float(took[1])
