"""Score the recognition of collectives on a grid of generated captures with known truth.

    python benchmarks/accuracy/collectives.py [--quick] [--packets N] [--jobs N] [--folder DIR]

Every capture (see grid.py) is read under several conditions: as it is, with a part of its packets
dropped at random as by an overloaded mirror port, and one packet in N. A collective is right if
operation and algorithm are and nothing else is reported beside it; S, the count of iterations and
their times are scored apart. Prints the tables of docs/accuracy.md.
"""

import argparse
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from grid import SNAPLENS, Case, generate, grid, other_operations
from numpy.typing import NDArray

from fabricscope.analyzers.collectives.analyzer import CollectiveAnalyzer
from fabricscope.analyzers.collectives.results import CollectiveResult
from fabricscope.analyzers.flows.table import FlowTable
from fabricscope.analyzers.rdma.table import QueuePairTable
from fabricscope.collectors.capture.reader import CaptureFile
from fabricscope.collectors.decode import decode
from fabricscope.records import Packets, allocate_packets, slice_packets

FOREVER_NS: Final = 1 << 62
PACKETS: Final = 150_000
"""Captures beyond this are left out unless asked for: those of many ranks with large S."""

QUICK_PACKETS: Final = 60_000
QUICK_PART: Final = 4
LISTED: Final = 40
Mask = Callable[[int, np.random.Generator], NDArray[np.bool_]]


class Verdict(NamedTuple):
    """How one reading compares with the truth; errors are relative."""

    found: str
    right: bool
    alternative: bool  # the truth is among the alternatives that the entry itself names
    size_error: float
    iterations_right: bool
    time_error: float
    straggler: str = "none"


class Reading(NamedTuple):
    """A case, the condition under which it was read, and the verdict."""

    case: Case
    condition: str
    verdict: Verdict


def keep_all(rows: int, _: np.random.Generator) -> NDArray[np.bool_]:
    """Keep every packet."""
    return np.ones(rows, bool)


def keep_but(ratio: float) -> Mask:
    """Return a mask that drops packets at random, as an overloaded mirror port does."""
    return lambda rows, rng: rng.random(rows) >= ratio


def keep_one_in(count: int) -> Mask:
    """Return a mask that keeps one packet in `count`, as a sampler does."""
    return lambda rows, rng: rng.random(rows) < 1.0 / count


WHOLE: Final = "nothing missing"
CONDITIONS: Final[dict[str, Mask]] = {
    WHOLE: keep_all,
    "mirror loss 0.1 %": keep_but(0.001),
    "mirror loss 1 %": keep_but(0.01),
    "mirror loss 5 %": keep_but(0.05),
    "mirror loss 10 %": keep_but(0.1),
    "mirror loss 20 %": keep_but(0.2),
    "sampled 1 in 4": keep_one_in(4),
    "sampled 1 in 64": keep_one_in(64),
}


def recognise(path: Path, mask: Mask = keep_all) -> CollectiveResult:
    """Read a capture as the pipeline does, of its packets only those that `mask` keeps."""
    flows = FlowTable(capacity=65_536, idle_ns=FOREVER_NS)
    queue_pairs = QueuePairTable(capacity=65_536, flow_capacity=65_536)
    collectives = CollectiveAnalyzer(flow_capacity=65_536)
    packets = allocate_packets()
    rng = np.random.default_rng(7)
    with CaptureFile(str(path)) as capture:
        while True:
            view, count = capture.read(packets)
            if count == 0:
                break
            batch = slice_packets(packets, 0, count)
            decode(view, batch)
            kept = mask(count, rng)
            if not kept.all():
                batch = Packets(*(column[kept] for column in batch))
            rows = batch.time_ns.size
            flow, side = np.zeros(rows, np.int64), np.zeros(rows, np.uint8)
            queue_pair = np.zeros(rows, np.int64)
            flows.update(batch, flow, side)
            messages = queue_pairs.update(batch, flow, side, queue_pair)
            collectives.update(batch, flow, side, queue_pair, messages)
    queue_pairs.finish()
    return collectives.finish(flows, queue_pairs)


def judge(result: CollectiveResult, truth: dict[str, Any]) -> Verdict:
    """Compare what was found with the truth."""
    data = [c for c in result.collectives if c["operation"] != "barrier"]
    if not data:
        return Verdict("refused" if result.refused else "nothing", False, False, 1.0, False, 1.0)
    worst = next((c["straggler"] for c in data if c["straggler"]), None)
    known = truth["straggler"]
    named = "none" if known is None else "missed"
    if worst is not None:
        same = known is not None and (worst["kind"], worst["ip"]) == (known["kind"], known["ip"])
        named = "right" if same else "wrong"
    names = sorted({f"{c['operation']} {c['algorithm']}" for c in data})
    found = names[0] if len(data) == 1 else "in parts" if len(names) == 1 else " + ".join(names)
    right = found == f"{truth['operation']} {truth['algorithm']}"
    main = max(data, key=lambda c: int(c["iterations"]) * int(c["message_bytes"]))
    either = {truth["operation"], truth["algorithm"]} & set(main["alternatives"])
    alternative = not right and len(data) == 1 and bool(either)
    size_error = abs(main["message_bytes"] / truth["message_bytes"] - 1)
    spans = truth["iteration_spans"]["tap"]
    if len(spans) != main["iterations"]:
        return Verdict(found, right, alternative, size_error, False, 1.0, named)
    errors = [
        abs((own[1] - own[0]) - (end - start)) / max(end - start, 1)
        for own, (start, end) in zip(main["iteration_spans"], spans, strict=True)
    ]
    return Verdict(found, right, alternative, size_error, True, max(errors), named)


def read_case(case: Case, folder: Path) -> list[Reading]:
    """Make a case's capture, read it under all conditions, and delete it."""
    path, truth = generate(case, folder)
    readings = [
        Reading(case, name, judge(recognise(path, mask), truth))
        for name, mask in CONDITIONS.items()
    ]
    path.unlink()
    return readings


def table(first: str, rows: Iterable[tuple[object, list[Verdict]]]) -> str:
    """Return a table with a line for each group of verdicts."""
    lines = [
        f"| {first} | readings | operation and algorithm | S within 2 % | iterations | times "
        "within 1 % | nothing said |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, verdicts in rows:
        count = len(verdicts)
        if not count:
            continue
        shares = [
            sum(v.right for v in verdicts),
            sum(v.right and v.size_error <= 0.02 for v in verdicts),
            sum(v.right and v.iterations_right for v in verdicts),
            sum(v.right and v.time_error <= 0.01 for v in verdicts),
            sum(v.found in ("nothing", "refused") for v in verdicts),
        ]
        cells = " | ".join(f"{100 * share / count:.1f} %" for share in shares)
        lines.append(f"| {name} | {count} | {cells} |")
    return "\n".join(lines)


def confusion(readings: list[Reading]) -> str:
    """Return the confusion matrix: truth by row, what was found by column."""
    truths = list(dict.fromkeys(reading.case.kind for reading in readings))
    counts = Counter((reading.case.kind, reading.verdict.found) for reading in readings)
    others = sorted({found for _, found in counts} - set(truths))
    names = [name for name in truths if any(counts[t, name] for t in truths)] + others
    lines = [f"| truth | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for truth in truths:
        cells = " | ".join(str(counts[truth, name] or "") for name in names)
        lines.append(f"| {truth} | {cells} |")
    return "\n".join(lines)


def size_text(size_bytes: int) -> str:
    """Return S in KiB or MiB."""
    return f"{size_bytes >> 10} KiB" if size_bytes < 1 << 20 else f"{size_bytes >> 20} MiB"


def by(readings: list[Reading], key: Callable[[Case], Any]) -> list[tuple[Any, list[Verdict]]]:
    """Return verdicts grouped by something about the case, in order of it."""
    groups: dict[Any, list[Verdict]] = defaultdict(list)
    for reading in readings:
        groups[key(reading.case)].append(reading.verdict)
    return sorted(groups.items())


def misses(readings: list[Reading]) -> str:
    """Return a table of the readings that are not right in everything."""
    lines = [
        "| truth | ranks | S | channels | fault | found | S off | iterations | time off |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    wrong = [r for r in readings if not r.verdict.right or r.verdict.time_error > 0.01]
    for case, _, verdict in sorted(wrong, key=lambda r: (r.verdict.right, r.case)):
        off = f"{100 * verdict.time_error:.1f} %" if verdict.iterations_right else ""
        lines.append(
            f"| {case.kind} | {case.ranks} | {size_text(case.size_bytes)} | {case.channels} | "
            f"{case.fault} | {verdict.found} | {100 * verdict.size_error:.1f} % | "
            f"{'right' if verdict.iterations_right else 'wrong'} | {off} |"
        )
    if len(wrong) > LISTED:
        return "\n".join(lines[: LISTED + 2]) + f"\n\n{len(wrong) - LISTED} more are not listed."
    return "\n".join(lines)


def stragglers(readings: list[Reading]) -> str:
    """Return how often the straggler was named, by fault."""
    lines = ["| fault | right | missed | wrong | rightly none |", "|---|---|---|---|---|"]
    for fault, verdicts in by(readings, lambda case: case.fault):
        named = Counter(verdict.straggler for verdict in verdicts)
        cells = " | ".join(str(named[key]) for key in ("right", "missed", "wrong", "none"))
        lines.append(f"| {fault} | {cells} |")
    return "\n".join(lines)


def report(readings: list[Reading], others: list[Reading]) -> str:
    """Return the tables of the document."""
    by_condition: dict[str, list[Reading]] = {name: [] for name in CONDITIONS}
    for reading in readings:
        by_condition[reading.condition].append(reading)
    whole = by_condition[WHOLE]
    verdicts = [(name, [r.verdict for r in own]) for name, own in by_condition.items()]
    parts = [table("condition", verdicts), f"With {WHOLE}:"]
    parts.append(table("operation and algorithm", by(whole, lambda case: case.kind)))
    parts.append(table("ranks", by(whole, lambda case: case.ranks)))
    sizes = by(whole, lambda case: case.size_bytes)
    parts.append(table("S", [(size_text(size), own) for size, own in sizes]))
    parts.append(table("channels", by(whole, lambda case: case.channels)))
    parts.append(table("bytes kept of a packet", by(whole, lambda case: case.snaplen)))
    parts.append(table("fault", by(whole, lambda case: case.fault)))
    parts += ["Who holds it back:", stragglers(whole), "What is not right in everything:"]
    parts.append(misses(whole))
    for name, own in by_condition.items():
        parts += [f"Truth by row, what was found by column, {name}:", confusion(own)]
    for name in (WHOLE, "mirror loss 1 %"):
        own = [reading for reading in others if reading.condition == name]
        told = sum(r.verdict.alternative for r in own)
        parts.append(
            f"Operations that are not in the grid, {name}; of {len(own)} captures {told} name the "
            "truth as an alternative:"
        )
        parts.append(confusion(own))
    return "\n\n".join(parts)


def main() -> None:
    """Run the grid and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a part of the smaller captures")
    parser.add_argument(
        "--packets", type=int, default=PACKETS, help="leave out captures of more than this"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="captures at a time")
    parser.add_argument("--folder", type=Path, help="where captures are made (default: temporary)")
    parser.add_argument("--details", action="store_true", help="list what is wrong as it comes")
    options = parser.parse_args()
    every = list(chain(grid(), other_operations()))
    most = QUICK_PACKETS if options.quick else options.packets
    cases = [case for case in every if case.packets <= most]
    left_out = len(every) - len(cases)
    if options.quick:
        cases = cases[::QUICK_PART]
    others = set(other_operations())
    readings: list[Reading] = []
    with (
        tempfile.TemporaryDirectory(dir=options.folder) as folder,
        ProcessPoolExecutor(options.jobs) as pool,
    ):
        for own in pool.map(partial(read_case, folder=Path(folder)), cases):
            readings += own
            for case, condition, verdict in own if options.details else []:
                if not verdict.right or verdict.size_error > 0.02 or verdict.time_error > 0.01:
                    print(case.name, condition, verdict, flush=True)
    print(
        f"{len(cases)} captures of about {sum(case.packets for case in cases) / 1e6:.0f} million "
        f"packets, cut after {', '.join(map(str, SNAPLENS))} bytes; {left_out} cells of the grid "
        f"would take more than {most:,} packets and are left out.\n"
    )
    print(
        report(
            [reading for reading in readings if reading.case not in others],
            [reading for reading in readings if reading.case in others],
        )
    )


if __name__ == "__main__":
    main()
