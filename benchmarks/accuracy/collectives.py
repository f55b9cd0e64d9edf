"""Score the recognition of collectives on a grid of generated captures with known truth.

    python benchmarks/accuracy/collectives.py [--full] [--folder DIR] [--details]

Every capture is made by the traffic generator and read under several conditions: as it is, with a
part of its packets dropped at random as by an overloaded mirror port, one packet in N, and cut
short. A collective is right if operation and algorithm are; S, the count of iterations and their
times are scored apart. Prints the tables of docs/accuracy.md.
"""

import argparse
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.collectives.analyzer import CollectiveAnalyzer
from fabricscope.analyzers.collectives.results import CollectiveResult
from fabricscope.analyzers.flows.table import FlowTable
from fabricscope.analyzers.rdma.table import QueuePairTable
from fabricscope.collectors.capture.reader import CaptureFile
from fabricscope.collectors.decode import decode
from fabricscope.collectors.synthetic.generator import generate_recipe
from fabricscope.collectors.synthetic.recipe import Recipe
from fabricscope.records import Packets, allocate_packets, slice_packets

FOREVER_NS = 1 << 62
KINDS = (
    ("allreduce", "ring"),
    ("allreduce", "tree"),
    ("allreduce", "halving_doubling"),
    ("alltoall", "direct"),
)
PACKET_LIMIT = 400_000
FAULTS: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "loss": [{"kind": "loss", "where": "fabric", "ratio": 0.001}],
    "tail_loss": [{"kind": "tail_loss", "flow": {"src": 1}, "message": 1}],
    "ce": [{"kind": "ce", "where": "fabric", "ratio": 0.05}],
    "slow_rank": [{"kind": "slow_rank", "host": 1, "late_us": 1000.0}],
    "slow_link": [{"kind": "slow_link", "host": 1, "direction": "up", "rate_gbps": 20.0}],
}
Mask = Callable[[int, np.random.Generator], NDArray[np.bool_]]


class Case(NamedTuple):
    """One capture of the grid."""

    operation: str
    algorithm: str
    ranks: int
    size_bytes: int
    channels: int
    fault: str
    snaplen: int = 128

    @property
    def name(self) -> str:
        """File name of the capture."""
        return "-".join(str(part) for part in self)


class Verdict(NamedTuple):
    """How one reading compares with the truth; errors are relative."""

    found: str
    right: bool
    size_error: float
    iterations_right: bool
    time_error: float
    straggler: str = "none"


def keep_all(rows: int, _: np.random.Generator) -> NDArray[np.bool_]:
    """Keep every packet."""
    return np.ones(rows, bool)


def keep_but(ratio: float) -> Mask:
    """Return a mask that drops packets at random, as an overloaded mirror port does."""
    return lambda rows, rng: rng.random(rows) >= ratio


def keep_one_in(count: int) -> Mask:
    """Return a mask that keeps one packet in `count`, as a sampler does."""
    return lambda rows, rng: rng.random(rows) < 1.0 / count


CONDITIONS: dict[str, Mask] = {
    "whole": keep_all,
    "loss 0.1 %": keep_but(0.001),
    "loss 1 %": keep_but(0.01),
    "loss 5 %": keep_but(0.05),
    "loss 10 %": keep_but(0.1),
    "loss 20 %": keep_but(0.2),
    "1 in 4": keep_one_in(4),
}


def grid(full: bool) -> Iterator[Case]:
    """Yield the cases: ranks, sizes, channels and faults, without those too large to be quick."""
    ranks = (2, 3, 4, 5, 8, 12, 16, 32, 64) if full else (2, 4, 5, 8, 16)
    sizes = (1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26) if full else (1 << 16, 1 << 20)
    channels = (1, 2, 4, 8) if full else (1, 4)
    for operation, algorithm in KINDS:
        for count in ranks:
            if algorithm == "halving_doubling" and count & (count - 1):
                continue
            for size in sizes:
                for lanes in channels:
                    # Data, credits and ACKs of three iterations, as the packets of 4 KiB.
                    messages = count * lanes * 2 * (count if operation == "alltoall" else 2 * count)
                    if 3 * (2 * count * size // 4096 + 3 * messages) > PACKET_LIMIT:
                        continue
                    for fault in FAULTS:
                        if fault == "none" or (lanes < 4 and size <= 1 << 20 and count <= 16):
                            yield Case(operation, algorithm, count, size, lanes, fault)


def generate(case: Case, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Make the capture of a case; return it and its truth about the collective."""
    recipe = Recipe.model_validate(
        {
            "name": case.name,
            "network": {"hosts": case.ranks},
            "transport": {"ack_timeout_us": 4000.0, "initial_psn": "random"},
            "capture": {"snaplen": case.snaplen},
            "workloads": [
                {
                    "kind": case.operation,
                    "algorithm": case.algorithm,
                    "channels": case.channels,
                    "message_bytes": case.size_bytes,
                    "iterations": 4,
                    # Two ranks that halve and double without credits are told from a ring by that.
                    "credits": case.algorithm != "halving_doubling" or case.ranks > 2,
                }
            ],
            "faults": FAULTS[case.fault],
        }
    )
    path = folder / f"{case.name}.pcap"
    truth = generate_recipe(recipe, str(path)).content
    path.with_name(f"{case.name}.truth.json").unlink()
    collective: dict[str, Any] = truth["collectives"][0]
    return path, collective


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
        return Verdict("nothing", False, 1.0, False, 1.0)
    worst = next((c["straggler"] for c in data if c["straggler"]), None)
    known = truth["straggler"]
    named = "none" if known is None else "missed"
    if worst is not None:
        same = known is not None and (worst["kind"], worst["ip"]) == (known["kind"], known["ip"])
        named = "right" if same else "wrong"
    names = sorted({f"{c['operation']} {c['algorithm']}" for c in data})
    found = " + ".join(names) if len(data) == 1 or len(names) > 1 else f"{names[0]} (parts)"
    right = found == f"{truth['operation']} {truth['algorithm']}"
    main = max(data, key=lambda c: int(c["iterations"]) * int(c["message_bytes"]))
    spans = truth["iteration_spans"]["tap"]
    size_error = abs(main["message_bytes"] / truth["message_bytes"] - 1)
    if len(spans) != main["iterations"]:
        return Verdict(found, right, size_error, False, 1.0, named)
    errors = [
        abs((own[1] - own[0]) - (end - start)) / max(end - start, 1)
        for own, (start, end) in zip(main["iteration_spans"], spans, strict=True)
    ]
    return Verdict(found, right, size_error, True, max(errors), named)


def table(rows: list[tuple[str, list[Verdict]]], first: str) -> str:
    """Return a table with a line for each group of verdicts."""
    lines = [
        f"| {first} | captures | operation and algorithm | S within 2 % | iterations | times "
        "within 1 % | nothing said |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, verdicts in rows:
        count = len(verdicts)
        shares = [
            sum(v.right for v in verdicts),
            sum(v.right and v.size_error <= 0.02 for v in verdicts),
            sum(v.right and v.iterations_right for v in verdicts),
            sum(v.right and v.time_error <= 0.01 for v in verdicts),
            sum(v.found == "nothing" for v in verdicts),
        ]
        cells = " | ".join(f"{100 * share / count:.1f} %" for share in shares)
        lines.append(f"| {name} | {count} | {cells} |")
    return "\n".join(lines)


def confusion(verdicts: list[tuple[str, Verdict]]) -> str:
    """Return the confusion matrix: truth by row, what was found by column."""
    truths = sorted({truth for truth, _ in verdicts})
    names = sorted({verdict.found for _, verdict in verdicts})
    counts = Counter((truth, verdict.found) for truth, verdict in verdicts)
    lines = [f"| truth | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for truth in truths:
        cells = " | ".join(str(counts[truth, name] or "") for name in names)
        lines.append(f"| {truth} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    """Run the grid and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="the whole grid, up to 64 ranks")
    parser.add_argument("--folder", type=Path, help="where captures are made (default: temporary)")
    parser.add_argument("--details", action="store_true", help="list every capture that is wrong")
    options = parser.parse_args()
    by_condition: dict[str, list[Verdict]] = defaultdict(list)
    by_fault: dict[str, list[Verdict]] = defaultdict(list)
    pairs: dict[str, list[tuple[str, Verdict]]] = defaultdict(list)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for case in grid(options.full):
            path, truth = generate(case, Path(folder))
            for condition, mask in CONDITIONS.items():
                verdict = judge(recognise(path, mask), truth)
                by_condition[condition].append(verdict)
                if condition == "whole":
                    by_fault[case.fault].append(verdict)
                pairs[condition].append((f"{case.operation} {case.algorithm}", verdict))
                fine = verdict.right and verdict.size_error < 0.02 and verdict.time_error <= 0.01
                if options.details and not fine:
                    print(case.name, condition, verdict, flush=True)
            path.unlink()
    print(table(list(by_condition.items()), "condition"))
    print()
    print(table(list(by_fault.items()), "fault (nothing missed)"))
    print("\n| fault (nothing missed) | straggler right | missed | wrong | rightly none |")
    print("|---|---|---|---|---|")
    for fault, verdicts in by_fault.items():
        named = Counter(verdict.straggler for verdict in verdicts)
        cells = " | ".join(str(named[key]) for key in ("right", "missed", "wrong", "none"))
        print(f"| {fault} | {cells} |")
    for condition, entries in pairs.items():
        print(f"\nConfusion, {condition}:\n\n{confusion(entries)}")


if __name__ == "__main__":
    main()
