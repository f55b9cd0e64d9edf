"""Compares Fabricscope with other capture analysers on the same captures, in one run.

The captures come from `fabricscope generate load`; programs take turns, so that a busy machine
slows all of them; the fast ones run several times and the median counts. Results go to
docs/benchmarks.md.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from measurement import (
    Run,
    count_packets,
    describe_machine,
    measure_floor_bytes,
    run,
    take_median,
)
from programs import Program, list_programs
from report import Outcome, write_report

ROOT: Final = Path(__file__).resolve().parent.parent
BUILD: Final = ROOT / "build" / "benchmarks"
SIZES: Final = (100_000, 1_000_000, 10_000_000)
QUICK_SIZES: Final = (100_000,)
SLOW_S: Final = 30.0  # a program that took longer than this is not run again on that capture


@dataclass(frozen=True)
class Kind:
    """A kind of load: its name, what it is, and the generator's settings for it."""

    name: str
    text: str
    settings: tuple[str, ...]


KINDS: Final = (
    Kind(
        "sliced",
        "RoCEv2 WRITEs with 4 KiB packets, 128 bytes of each captured, as from a mirror port",
        ("capture.snaplen=128",),
    ),
    Kind(
        "whole",
        "RoCEv2 WRITEs of 64 bytes, captured whole, for ndpiReader, which skips cut packets",
        ("capture.snaplen=0", "workloads.0.message_bytes=64"),
    ),
)


def main() -> int:
    """Generate, measure, report; exit status 1 if a program could not be measured at all."""
    arguments = _parse_arguments()
    repeats = 1 if arguments.quick else arguments.repeats
    captures = (arguments.captures or BUILD / "captures").resolve()
    for folder in (BUILD, captures):
        folder.mkdir(parents=True, exist_ok=True)
    found = list_programs(_provide_nfstream())
    programs = [program for program, version in found.values() if version]
    absent = [name for name, (_, version) in found.items() if not version]
    if absent:
        print(f"bench: not installed, left out: {', '.join(absent)}")
    _warm_up(programs, _provide_capture(captures, KINDS[0], SIZES[0]))
    outcomes = []
    for size in QUICK_SIZES if arguments.quick else SIZES:
        for kind in KINDS:
            capture = _provide_capture(captures, kind, size)
            outcomes += _compare(programs, kind, capture, repeats)
    report = write_report(
        outcomes,
        machine=describe_machine(),
        versions={name: version for name, (_, version) in found.items() if version},
        computes={program.name: program.computes for program in programs},
        kinds={kind.name: kind.text for kind in KINDS},
        command=f"make bench{' ARGS=--quick' if arguments.quick else ''}",
        absent=absent,
        repeats=repeats,
        floor_bytes=measure_floor_bytes(),
    )
    print(report)
    if "fabricscope" in absent:
        print("bench: nothing to compare with: run it by `make bench`, which installs fabricscope")
    elif not arguments.quick:
        (ROOT / "docs" / "benchmarks.md").write_text(report, encoding="utf-8")
    return 0 if all(outcome.run.status == 0 for outcome in outcomes) else 1


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small run; writes no file")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each fast program")
    parser.add_argument(
        "--captures", type=Path, help="where captures are kept; those that are there are reused"
    )
    return parser.parse_args()


def _provide_nfstream() -> Path:
    """Return the interpreter of NFStream's own environment, made at the first run.

    NFStream is kept apart because its dependencies are its own; without network it is left out.
    """
    folder = BUILD / "nfstream"
    python = folder / "bin" / "python"
    if not python.exists():
        print("bench: installing NFStream into its own environment")
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=False)
        pip = [str(python), "-m", "pip", "install", "--quiet", "nfstream"]
        if not python.exists() or subprocess.run(pip, check=False).returncode:
            print("bench: NFStream could not be installed")
            shutil.rmtree(folder, ignore_errors=True)
    return python


def _provide_capture(folder: Path, kind: Kind, size: int) -> Path:
    """Return the capture, generated unless it is there; a half-written one never gets its name."""
    path = folder / f"{kind.name}-{size}.pcap"
    if path.exists():
        return path
    print(f"bench: generating {path.name}")
    unfinished = path.with_name(f"unfinished-{path.name}")
    settings = (f"workloads.0.packets={size}", *kind.settings)
    command = [str(Path(sys.executable).with_name("fabricscope")), "generate", "load"]
    options = [part for setting in settings for part in ("--set", setting)]
    try:
        subprocess.run([*command, str(unfinished), *options], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"bench: {path.name} could not be generated ({error}): run it by `make bench`.")
    return unfinished.rename(path)


def _warm_up(programs: list[Program], capture: Path) -> None:
    """Run the fast ones once, so that no measured run compiles kernels or starts from disk."""
    for program in programs:
        if program.prefix_packets is None:
            _run_once(program, capture)


def _run_once(program: Program, capture: Path) -> tuple[Run, int | None]:
    """Run a program in a folder of its own; return also the packets that it says it read.

    It sees the capture as a link in that folder, for argus cuts a path at its first space.
    """
    with tempfile.TemporaryDirectory(dir=BUILD) as name:
        folder = Path(name)
        link = folder / "capture.pcap"
        link.symlink_to(capture)
        return run(program.command(Path(link.name)), folder), program.count(folder)


def _compare(programs: list[Program], kind: Kind, capture: Path, repeats: int) -> list[Outcome]:
    """Run the programs in turns on a capture; each outcome is the median of a program's runs."""
    packets = count_packets(capture)
    chosen = [program for program in programs if packets <= (program.packets_limit or packets)]
    runs: dict[str, list[Run]] = {program.name: [] for program in chosen}
    read: dict[str, int | None] = {}
    for _ in range(repeats):
        for program in chosen:
            done = runs[program.name]
            if done and done[-1].wall_s > SLOW_S:
                continue
            result, read[program.name] = _run_once(program, capture)
            done.append(result)
            print(f"bench: {capture.name}: {program.name}: {result.wall_s:.2f} s", flush=True)
    return [
        Outcome(
            program.name,
            kind.name,
            packets,
            expected_packets=min(packets, program.prefix_packets or packets),
            read_packets=read[program.name],
            run=take_median(runs[program.name]),
            repeats=len(runs[program.name]),
        )
        for program in chosen
    ]


if __name__ == "__main__":
    sys.exit(main())
