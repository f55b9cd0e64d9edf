"""Measure which part of the analysis time deep packet inspection takes.

    python benchmarks/accuracy/dpi_cost.py [--threads N] [--repeat N] CAPTURE...

Processor time, not time on the clock. Each capture is analyzed in a process of its own: *whole
process* counts everything from the interpreter's start to the finished document, with all imports
and loading on both sides; *started* is a second analysis in the same process. DPI is everything
below `pipeline.applications`: its imports, the signatures, matching, details, the columns it adds.
A first run that compiles kernels is not counted. Of `--repeat` processes the median share stands.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

METHODS = ("__init__", "update", "close", "neighbours")


def main() -> None:
    """Measure each capture and print a line for it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("captures", nargs="+")
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.captures[0], options.threads)))
        return
    print(f"{'capture':32} {'packets':>10} {'flows':>7}   whole process         started")
    for capture in options.captures:
        run_apart(capture, options.threads)
        runs = [run_apart(capture, options.threads) for _ in range(options.repeat)]
        cells = []
        for phase in ("whole", "started"):
            run = sorted(runs, key=lambda one: one[phase]["dpi_s"] / one[phase]["total_s"])
            middle = run[len(run) // 2][phase]
            share = statistics.median(one[phase]["dpi_s"] / one[phase]["total_s"] for one in runs)
            cells.append(f"{middle['dpi_s']:6.3f} / {middle['total_s']:6.3f} s = {share:5.1%}")
        name = capture.rsplit("/", 1)[-1]
        facts = runs[0]
        print(f"{name:32} {facts['packets']:10,} {facts['flows']:7,}   {'   '.join(cells)}")


def run_apart(capture: str, threads: int) -> dict[str, Any]:
    """Measure one capture in a new process."""
    command = [sys.executable, __file__, "--here", "--threads", str(threads), capture]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result: dict[str, Any] = json.loads(output)
    return result


def measure(capture: str, threads: int) -> dict[str, Any]:
    """Analyze a capture twice; return seconds of processor time of DPI and of everything."""
    from fabricscope.pipeline.analysis import Options, analyze
    from fabricscope.pipeline.applications import Applications
    from fabricscope.pipeline.document import build_document

    spent = [0.0]
    for name in METHODS:
        setattr(Applications, name, timed(getattr(Applications, name), spent))
    result: dict[str, Any] = {}
    start_s = 0.0  # the process began at 0
    for phase in ("whole", "started"):
        spent[0] = 0.0
        document = build_document(analyze([capture], Options(threads=threads), lambda *_: None))
        result[phase] = {"dpi_s": spent[0], "total_s": time.process_time() - start_s}
        start_s = time.process_time()
    return result | {
        "packets": document["capture"]["packets"], "flows": document["flows_total"]
    }  # fmt: skip


def timed(method: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    """Return `method`, with the processor time of its thread added to `spent`."""

    def call(*arguments: object) -> object:
        before_s = time.thread_time()
        try:
            return method(*arguments)
        finally:
            spent[0] += time.thread_time() - before_s

    return call


if __name__ == "__main__":
    main()
