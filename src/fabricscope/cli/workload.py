"""A simulation's workload taken from a capture: the collectives that `analyze` found in it."""

import statistics
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from fabricscope.errors import ConfigError
from fabricscope.topology.workloads.spec import ALGORITHMS

__all__ = ["read_workload", "translate"]


def read_workload(capture: str, quiet: bool) -> list[dict[str, Any]]:
    """Return the workload of the collectives in `capture`. Raises FabricscopeError."""
    from fabricscope.cli.progress import Progress
    from fabricscope.pipeline.analysis import Options, analyze
    from fabricscope.pipeline.document import build_document

    with Progress(enabled=not quiet) as progress:
        document = build_document(analyze([capture], Options(), progress.update))
    parts, left_out = translate(document)
    if not parts:
        raise ConfigError(
            f"--workload-from {capture}: no collective was found in it that can be simulated; "
            "see what `fabricscope analyze` says about it, or give --workload."
        )
    if not quiet:
        print(f"fabricscope: workload of {Path(capture).name}:", file=sys.stderr)
        for part in parts:
            print(f"fabricscope:   {_describe(part)}", file=sys.stderr)
        for what in left_out:
            print(f"fabricscope:   left out: {what}", file=sys.stderr)
    return parts


def translate(document: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the workload parts for the collectives of `analyze`'s document, and what is left out.

    Each keeps its operation, algorithm, ranks, size, iterations, its start after the first one,
    and the median pause between its iterations as computation.
    """
    parts: list[dict[str, Any]] = []
    left_out: list[str] = []
    spans = [entry["iteration_spans"] for entry in document["collectives"]]
    start_ns = min((span[0][0] for span in spans if span), default=0)
    for entry in document["collectives"]:
        operation, algorithm = entry["operation"], entry["algorithm"]
        ranks, size = len(entry["ranks"]), entry["message_bytes"]
        if operation not in ALGORITHMS or ranks < 2 or not size:
            left_out.append(f"{operation} of {ranks} ranks, {size or 0:,.0f} bytes")
            continue
        known = ALGORITHMS[operation]
        times = entry["iteration_spans"]
        gaps = [max(0, after[0] - before[1]) for before, after in pairwise(times)]
        parts.append(
            {
                "name": f"capture-{len(parts) + 1}",
                "operation": operation,
                "algorithm": algorithm if algorithm in known else known[0],
                "size": f"{round(size)}B",
                "ranks": ranks,
                "iterations": max(1, entry["iterations"]),
                "compute": f"{statistics.median(gaps) if gaps else 0:.0f}ns",
                "start": f"{(times[0][0] - start_ns) if times else 0:.0f}ns",
            }
        )
    return parts, left_out


def _describe(part: dict[str, Any]) -> str:
    return (
        f"{part['operation']}:{part['algorithm']}:{part['size']}, {part['ranks']} ranks, "
        f"{part['iterations']} iterations, {part['compute']} of computation before each"
    )
