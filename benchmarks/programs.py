"""The programs that are compared: how each is called by default, what it computes, what it read."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from measurement import OUTPUT

HERE: Final = Path(__file__).resolve().parent
TSHARK_FIELDS: Final = (
    "frame.number",
    "ip.src",
    "ip.dst",
    "infiniband.bth.opcode",
    "infiniband.bth.destqp",
    "infiniband.bth.psn",
)


@dataclass(frozen=True)
class Program:
    """A program that reads a capture to its end."""

    name: str
    computes: str  # what a reader must know to find the comparison fair
    command: Callable[[Path], list[str]]  # the capture -> what to run
    count: Callable[[Path], int | None]  # the folder it ran in -> packets it says it read
    version: Callable[[], str]
    packets_limit: int | None = None  # a slow one is given only the captures up to this size
    prefix_packets: int | None = None  # or reads only so many packets of any capture


def _read_output(folder: Path) -> str:
    return (folder / OUTPUT).read_text(encoding="utf-8", errors="replace")


def _last_number(pattern: str) -> Callable[[Path], int | None]:
    def count(folder: Path) -> int | None:
        found = re.findall(pattern, _read_output(folder))
        return int(found[-1]) if found else None

    return count


def _count_fabricscope(folder: Path) -> int | None:
    output = _read_output(folder)
    try:
        document = json.loads(output[output.index("{") :])
    except ValueError:
        return None
    return int(document["capture"]["packets"])


def _count_argus(folder: Path) -> int | None:
    """Ask argus' own client, whose second column is the number of packets."""
    answer = _say(["racount", "-r", "argus.out"], folder)
    found = re.search(r"^\s*sum\s+\d+\s+(\d+)", answer, re.MULTILINE)
    return int(found[1]) if found else None


def _count_lines(folder: Path) -> int | None:
    with (folder / OUTPUT).open("rb") as lines:
        return sum(line[:1].isdigit() for line in lines)


def _say(command: list[str], folder: Path | None = None) -> str:
    """Return what a command prints, or nothing if it cannot be run."""
    try:
        result = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
        )
    except OSError:
        return ""
    return result.stdout.decode(errors="replace")


def _version(pattern: str, *command: str) -> Callable[[], str]:
    def version() -> str:
        found = re.search(pattern, _say(list(command)))
        return found[1] if found else ""

    return version


def _package_version(python: str, package: str) -> Callable[[], str]:
    code = f"from importlib.metadata import version; print(version({package!r}))"

    def version() -> str:
        answer = _say([python, "-c", code]).strip()
        return answer if answer[:1].isdigit() else ""

    return version


def list_programs(nfstream_python: Path) -> dict[str, tuple[Program, str]]:
    """Return all programs by name, Fabricscope first, with their versions, "" if not installed.

    `nfstream_python` is the interpreter of NFStream's own environment, which need not exist.
    """
    ours = str(Path(sys.executable).with_name("fabricscope"))
    known = _describe_programs(ours, str(nfstream_python))
    return {program.name: (program, program.version()) for program in known}


def _describe_programs(ours: str, nfstream_python: str) -> list[Program]:
    python = sys.executable
    readers = str(HERE / "readers.py")
    return [
        Program(
            "fabricscope",
            "all analyzers: flows, application, RDMA queue pairs, collectives, findings; JSON",
            lambda capture: [ours, "analyze", "--quiet", "--json", "-", str(capture)],
            _count_fabricscope,
            _version(r"([0-9]+\.[0-9.]+)", ours, "--version"),
        ),
        Program(
            "nfpcapd",
            "flow records to a file; headers to layer 4 only, no DPI, no RDMA",
            lambda capture: ["nfpcapd", "-r", str(capture), "-w", "."],
            _last_number(r"Total: Processed: (\d+)"),
            _version(r"Version: ([0-9.]+)", "nfpcapd", "-V"),
        ),
        Program(
            "softflowd",
            "NetFlow v5 to a UDP port where nobody listens; to layer 4, no DPI, no RDMA",
            lambda capture: [
                *("softflowd", "-d", "-r", str(capture), "-n", "127.0.0.1:9995"),
                *("-p", "softflowd.pid", "-c", "none"),
            ],
            _last_number(r"Packets processed: (\d+)"),
            _version(r"version ([0-9.]+[0-9])", "softflowd", "-h"),
        ),
        Program(
            "argus",
            "bidirectional flow records to a file; to layer 4, no DPI by default, no RDMA",
            lambda capture: ["argus", "-r", str(capture), "-w", "argus.out"],
            _count_argus,
            _version(r"Version ([0-9.]+)", "argus", "-h"),
        ),
        Program(
            "ndpiReader",
            "flows and DPI of each flow's first packets, report; no RDMA; discards packets that a "
            "snap length cut",
            lambda capture: ["ndpiReader", "-i", str(capture)],
            _last_number(r"IP packets:\s+(\d+)"),
            _version(r"nDPI ([0-9.]+)", "ndpiReader", "-h"),
        ),
        Program(
            "nfstream",
            "flows and nDPI, each flow handed to Python; several processes; no RDMA",
            lambda capture: [nfstream_python, readers, "nfstream", str(capture), "0"],
            _last_number(r"packets (\d+)"),
            _package_version(nfstream_python, "nfstream"),
        ),
        Program(
            "tshark",
            "full dissection, six fields of each packet as text; no flows, no analysis",
            lambda capture: (
                ["tshark", "-n", "-r", str(capture), "-T", "fields"]
                + [part for field in TSHARK_FIELDS for part in ("-e", field)]
            ),
            _count_lines,
            _version(r"TShark[^0-9]*([0-9.]+[0-9])", "tshark", "--version"),
            packets_limit=1_100_000,  # the generator ends whole messages, a few packets late
        ),
        Program(
            "scapy",
            "each packet decoded to Python objects, RoCE included; no flows, no analysis",
            lambda capture: [python, readers, "scapy", str(capture), "50000"],
            _last_number(r"packets (\d+)"),
            _package_version(python, "scapy"),
            packets_limit=110_000,
            prefix_packets=50_000,
        ),
        Program(
            "pyshark",
            "tshark's dissection turned into Python objects; no flows, no analysis",
            lambda capture: [python, readers, "pyshark", str(capture), "2000"],
            _last_number(r"packets (\d+)"),
            _package_version(python, "pyshark"),
            packets_limit=110_000,
            prefix_packets=2_000,
        ),
    ]
