"""Running a program once and saying what it took; nothing here knows which program it is."""

import os
import resource
import signal
import statistics
import struct
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SECONDS_LIMIT: Final = 900
OUTPUT: Final = "output.txt"
_PCAP_HEADER_BYTES: Final = 24
_RECORD: Final = struct.Struct("<IIII")


@dataclass(frozen=True)
class Run:
    """One run of one program."""

    wall_s: float
    cpu_s: float  # user and system, of the program and of the children it waited for
    peak_rss_bytes: int  # the largest of its processes, mapped file pages included
    status: int  # 0, an exit status, or minus a signal's number


def run(command: Sequence[str], folder: Path) -> Run:
    """Run `command` in `folder`, its output in OUTPUT there, for SECONDS_LIMIT at most."""
    with (folder / OUTPUT).open("wb") as sink:
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        alarm = threading.Timer(SECONDS_LIMIT, os.killpg, (process.pid, signal.SIGKILL))
        alarm.start()
        _, wait_status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        alarm.cancel()
        process.returncode = os.waitstatus_to_exitcode(wait_status)
    return Run(
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_rss_bytes=usage.ru_maxrss * 1024,
        status=process.returncode,
    )


def take_median(runs: Sequence[Run]) -> Run:
    """Return the run with the median wall time (the lower one of two), with the largest memory."""
    middle = statistics.median_low(run.wall_s for run in runs)
    chosen = next(run for run in runs if run.wall_s == middle)
    peak = max(run.peak_rss_bytes for run in runs)
    return Run(chosen.wall_s, chosen.cpu_s, peak, chosen.status)


def count_packets(path: Path) -> int:
    """Count the records of a little-endian pcap file, which also brings it into the page cache.

    It walks with buffered reads: a mapping would enlarge this process, and every child starts with
    its parent's peak.
    """
    packets = 0
    with path.open("rb", buffering=1 << 20) as file:
        file.seek(_PCAP_HEADER_BYTES)
        while len(header := file.read(_RECORD.size)) == _RECORD.size:
            captured_bytes = _RECORD.unpack(header)[2]
            file.seek(captured_bytes, os.SEEK_CUR)
            packets += 1
    return packets


def measure_floor_bytes() -> int:
    """Return this process's own peak: no child can report less, the system lets it inherit it."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def describe_machine() -> str:
    """Return processor, cores, memory and system in one line; no names of the machine."""
    processor = _find(Path("/proc/cpuinfo"), "model name", ":") or "unknown processor"
    memory_kib = int((_find(Path("/proc/meminfo"), "MemTotal", ":") or "0 kB").split()[0])
    system = (_find(Path("/etc/os-release"), "PRETTY_NAME", "=") or os.uname().sysname).strip('"')
    cores = len(os.sched_getaffinity(0))
    return f"{processor}, {cores} cores, {memory_kib / 2**20:.0f} GiB, {system}"


def _find(path: Path, key: str, separator: str) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    found = (line.partition(separator)[2].strip() for line in lines if line.startswith(key))
    return next(found, "")
