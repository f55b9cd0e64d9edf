"""Compares Fabricscope's engines with other simulators on the same scenarios, in one run.

Programs take turns, so that a busy machine slows all of them; the fast ones run several times and
the median counts. Results go to docs/simulator-benchmarks.md.
"""

import argparse
import datetime
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from measurement import OUTPUT, Run, describe_machine, run
from model import draw_paths
from scenarios import Scenario, list_scenarios, take_share, write_scenario
from simulators import Simulator, list_simulators
from table import Outcome, write_report

ROOT: Final = Path(__file__).resolve().parents[2]
BUILD: Final = ROOT / "build" / "benchmarks" / "simulators"
REPORT: Final = ROOT / "docs" / "simulator-benchmarks.md"
SLOW_S: Final = 8.0  # a program that took longer than this is not run again on that scenario
QUICK: Final = ("one flow", "incast")

OURS: Final = ("packets", "packets-pfc", "packets-bare")
PINNED: Final = (*OURS, "pinned")
RUNS: Final[dict[str, tuple[str, ...]]] = {
    "one flow": (*PINNED, "stock", "flows", "lazy"),
    "incast": (*PINNED, "stock", "flows", "lazy"),
    "S1": (*PINNED, "flows", "lazy"),
    "S1, a sixteenth": (*PINNED, "stock"),
    "S2": (*OURS, "flows", "lazy"),
    "S2, a quarter": PINNED,
    "all-to-all, one switch": ("flows", "lazy"),
    "all-to-all, hashed": ("flows", "lazy", "full"),
    "ring": ("flows", "lazy"),
}
"""The modes that run each scenario. What takes a peer many minutes gets a share of the bytes, or
another scenario: 256 hosts over hashed paths took SimGrid more than eight minutes of CPU time."""


def main() -> int:
    """Build, run, report; exit status 1 if a program that is here did not finish a scenario."""
    arguments = _parse_arguments()
    simulators, absent = list_simulators(BUILD)
    for missing in absent:
        print(f"bench-sim: left out: {missing.name}; {missing.advice}")
    chosen = QUICK if arguments.quick else tuple(RUNS)
    scenarios = [draw_paths(s) for s in _list_with_shares() if s.name in chosen]
    _warm_up([s for s in simulators if s.ours], scenarios[0])
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    outcomes: list[Outcome] = []
    for scenario in scenarios:
        modes = RUNS[scenario.name]
        usable = [s for s in simulators if s.mode in modes]
        outcomes += _compare(scenario, usable, 1 if arguments.quick else arguments.repeats)
    report = write_report(
        outcomes,
        scenarios=scenarios,
        machine=describe_machine(),
        load=load,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        command=f"make bench-sim{' ARGS=--quick' if arguments.quick else ''}",
        absent=absent,
    )
    print(report)
    if not arguments.quick:
        REPORT.write_text(report, encoding="utf-8")
    return 0 if all(outcome.figures for outcome in outcomes) else 1


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small scenarios; writes no file")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each fast program")
    return parser.parse_args()


def _list_with_shares() -> list[Scenario]:
    """Return the scenarios, with shares of those that a peer needs many minutes for."""
    named = {scenario.name: scenario for scenario in list_scenarios()}
    for name, share, divisor in (("S1", "a sixteenth", 16), ("S2", "a quarter", 4)):
        part = take_share(named[name], divisor)
        text = f"{part.text}; {share} of the bytes"
        named[f"{name}, {share}"] = replace(part, name=f"{name}, {share}", text=text)
    return [named[name] for name in RUNS]


def _warm_up(simulators: Sequence[Simulator], scenario: Scenario) -> None:
    """Run ours once, so that no measured run compiles kernels."""
    print(
        "bench-sim: loading our kernels, which takes minutes where they must be compiled",
        flush=True,
    )
    with tempfile.TemporaryDirectory(dir=BUILD) as name:
        path = Path(name) / "scenario.txt"
        write_scenario(scenario, path)
        for simulator in simulators:
            _run_once(simulator, path)


def _compare(scenario: Scenario, simulators: Sequence[Simulator], repeats: int) -> list[Outcome]:
    """Run the simulators in turns on a scenario; each outcome is the median of its runs."""
    runs: dict[str, list[tuple[Run, dict[str, float] | None]]] = {s.name: [] for s in simulators}
    with tempfile.TemporaryDirectory(dir=BUILD) as name:
        path = Path(name) / "scenario.txt"
        write_scenario(scenario, path)
        for _ in range(repeats):
            for simulator in simulators:
                done = runs[simulator.name]
                if done and (done[-1][0].wall_s > SLOW_S or done[-1][1] is None):
                    continue
                done.append(_run_once(simulator, path))
                print(
                    f"bench-sim: {scenario.name}: {simulator.name}: {done[-1][0].wall_s:.2f} s",
                    flush=True,
                )
    return [_take_median(scenario, s, runs[s.name]) for s in simulators]


def _run_once(simulator: Simulator, path: Path) -> tuple[Run, dict[str, float] | None]:
    """Return what a run took and found; None if it did not finish all flows."""
    result = run([*simulator.command, str(path), simulator.mode], path.parent)
    lines = (path.parent / OUTPUT).read_text(encoding="utf-8", errors="replace").splitlines()
    if result.status or not lines or not lines[-1].startswith("{"):
        print(f"bench-sim: {simulator.name} failed: {(lines or ['it said nothing'])[-1][:200]}")
        return result, None
    figures: dict[str, float] = json.loads(lines[-1])
    return result, figures


def _take_median(
    scenario: Scenario,
    simulator: Simulator,
    runs: Sequence[tuple[Run, dict[str, float] | None]],
) -> Outcome:
    """Return the run with the median CPU time (the lower one of two)."""
    finished = [(run, figures) for run, figures in runs if figures]
    if not finished:
        return Outcome(scenario.name, simulator, runs[0][0], None, len(runs))
    finished.sort(key=lambda one: one[1]["run_cpu_s"])
    result, figures = finished[(len(finished) - 1) // 2]
    return Outcome(scenario.name, simulator, result, figures, len(finished))


if __name__ == "__main__":
    sys.exit(main())
