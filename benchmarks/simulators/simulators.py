"""The simulators that are compared: how each is got, built and called, and what it models."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
PACKET: Final = "packet"
FLOW: Final = "flow"
NS3_LIBRARIES: Final = ("core", "network", "internet", "point-to-point")


@dataclass(frozen=True)
class Simulator:
    """One way to run a scenario. command: what stands before the scenario and `mode`."""

    name: str
    level: str  # PACKET or FLOW
    models: str  # what a reader must know to find the comparison fair
    command: tuple[str, ...]
    mode: str
    ours: bool = False


@dataclass(frozen=True)
class Absent:
    """A simulator that is not here, and how it is got."""

    name: str
    advice: str


PACKETS: Final = "fabricscope packets"
PFC: Final = "fabricscope packets, PFC only"
BARE: Final = "fabricscope packets, bare"
FLOWS: Final = "fabricscope flows"
NS3: Final = "ns-3 {}"
NS3_STOCK: Final = "ns-3 {}, its own routing"
SIMGRID: Final = "SimGrid {}"
SIMGRID_FULL: Final = "SimGrid {}, full"


def list_simulators(folder: Path) -> tuple[list[Simulator], list[Absent]]:
    """Build in `folder` what can be built; return simulators, ours first, and what is absent."""
    folder.mkdir(parents=True, exist_ok=True)
    found, absent = _list_ours(), []
    for build, name, advice in (
        (_build_ns3, "ns-3 3.37", "install `g++` and `libns3-dev` (Debian 12)"),
        (_build_simgrid, "SimGrid 3.32", "install `g++` and `libsimgrid-dev` (Debian 12)"),
        (_build_ns3_wheel, "ns-3 3.44", "install `g++`; the wheel `ns3` comes from PyPI by itself"),
    ):
        simulators = build(folder)
        found += simulators
        if not simulators:
            absent.append(Absent(name, advice))
    return found, absent


def _list_ours() -> list[Simulator]:
    command = (sys.executable, str(HERE / "ours.py"))
    lossless = "RoCE v2 queue pairs (go-back-N, time-outs), "
    return [
        Simulator(
            PACKETS,
            PACKET,
            lossless + "shared buffers, PFC, ECN and DCQCN with their defaults; hash ECMP",
            command,
            "packets",
            ours=True,
        ),
        Simulator(
            PFC,
            PACKET,
            lossless + "shared buffers and PFC, no ECN or DCQCN: what htsim's RoCE has; hash ECMP",
            command,
            "packets-pfc",
            ours=True,
        ),
        Simulator(
            BARE,
            PACKET,
            lossless + "no PFC, ECN or DCQCN, endless buffers: what ns-3 has; hash ECMP",
            command,
            "packets-bare",
            ours=True,
        ),
        Simulator(
            FLOWS,
            FLOW,
            "max-min fair rates, hash ECMP, queue pairs in order",
            command,
            "flows",
            ours=True,
        ),
    ]


def _build_ns3(folder: Path) -> list[Simulator]:
    version = _ask_debian("libns3-dev")
    libraries = [f"-lns3-{name}" for name in NS3_LIBRARIES]
    binary = folder / "ns3"
    if not version or not _compile("ns3.cpp", binary, ["-std=c++17", *libraries]):
        return []
    return _describe_ns3(version, binary)


def _build_ns3_wheel(folder: Path) -> list[Simulator]:
    """Build against PyPI's wheel, which has ns-3's headers and libraries; it is kept apart."""
    target = folder / "ns3-wheel"
    if not target.exists():
        print("bench-sim: fetching the wheel ns3")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        pip += ["--target", str(target), "ns3"]
        if subprocess.run(pip, check=False).returncode:
            return []
    include = target / "ns3" / "include"
    found = sorted((target / "ns3").glob("lib*/libns3.*-core.so"))
    if not found:
        return []
    version = found[0].name.removeprefix("libns3.").removesuffix("-core.so")
    libraries = found[0].parent
    options = [
        *("-std=c++20", "-DNS3_CALLBACKS_BY_REFERENCE", f"-I{include}", f"-L{libraries}"),
        f"-Wl,-rpath,{libraries}",
        *(f"-lns3.{version}-{name}" for name in NS3_LIBRARIES),
    ]
    binary = folder / "ns3-wheel-program"
    if not _compile("ns3.cpp", binary, options):
        return []
    return _describe_ns3(f"3.{version}", binary)[:1]


def _describe_ns3(version: str, binary: Path) -> list[Simulator]:
    transport = (
        "point-to-point devices, IPv4, UDP and an application with window and acknowledgements; "
        "endless queues, no RoCE, PFC, ECN or DCQCN; "
    )
    return [
        Simulator(
            NS3.format(version),
            PACKET,
            transport + "constant-time routing of this benchmark's own, on Fabricscope's paths",
            (str(binary),),
            "pinned",
        ),
        Simulator(
            NS3_STOCK.format(version),
            PACKET,
            transport + "its global routing with random ECMP, each packet on a path of its own",
            (str(binary),),
            "stock",
        ),
    ]


def _build_simgrid(folder: Path) -> list[Simulator]:
    version = _ask_debian("libsimgrid-dev")
    binary = folder / "simgrid"
    if not version or not _compile("simgrid.cpp", binary, ["-std=c++17", "-lsimgrid"]):
        return []
    models = (
        "max-min fair sharing (CM02, no corrections) on Fabricscope's paths; an actor a rank, "
        "which sends its next part when its last one has arrived (a queue pair: has left); "
    )
    return [
        Simulator(
            SIMGRID.format(version),
            FLOW,
            models + "its default: only what a change touches is computed anew",
            (str(binary),),
            "lazy",
        ),
        Simulator(
            SIMGRID_FULL.format(version),
            FLOW,
            models + "everything is computed anew at each change (`network/optim:Full`)",
            (str(binary),),
            "full",
        ),
    ]


def _ask_debian(package: str) -> str:
    """Return a package's upstream version, "" where it is not installed."""
    command = ["dpkg-query", "-W", "-f", "${Status} ${Version}", package]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""
    *status, version = answer.split() or [""]
    return version.partition("-")[0] if status[-1:] == ["installed"] else ""


def _compile(source: str, binary: Path, options: list[str]) -> bool:
    """Compile `source` unless `binary` is newer than it and the header; return if it is there."""
    sources = [HERE / source, HERE / "scenario.hpp"]
    newest_s = max(path.stat().st_mtime for path in sources)
    if binary.exists() and binary.stat().st_mtime > newest_s:
        return True
    print(f"bench-sim: compiling {source}", flush=True)
    command = ["g++", "-O2", "-o", str(binary), str(sources[0]), *options]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return False
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if "error" in line]
        print(f"bench-sim: {source} does not compile: {(lines or ['g++ failed'])[0]}")
    return result.returncode == 0
