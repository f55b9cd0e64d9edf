"""The captures on which the recognition of collectives is scored, and how each is made.

Every operation and algorithm meets every count of ranks, S and count of channels once; what else
makes a fabric and a job (faults, rates, latencies, computing, credits, what is kept of a packet)
is drawn with a seed that the case itself gives, so that the same case is always the same capture.
"""

import zlib
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from fabricscope.collectors.synthetic.generator import generate_recipe
from fabricscope.collectors.synthetic.recipe import Recipe

KINDS: Final = (
    ("allreduce", "ring"),
    ("allreduce", "tree"),
    ("allreduce", "halving_doubling"),
    ("alltoall", "direct"),
)
OTHER_KINDS: Final = (
    ("allgather", "ring"),
    ("reducescatter", "ring"),
    ("broadcast", "ring"),
    ("broadcast", "tree"),
    ("p2p", "direct"),
)
RANKS: Final = (2, 4, 8, 16, 32, 64)
ODD_RANKS: Final = (3, 5, 6, 12, 24, 48)
SIZES: Final = tuple(1 << bits for bits in (16, 18, 20, 22, 24, 26))
CHANNELS: Final = (1, 2, 4, 8)
FAULTS: Final = (
    "loss", "loss_before", "tail_loss", "ce", "reorder", "pause", "slow_rank", "slow_link",
)  # fmt: skip
SNAPLENS: Final = (128, 96, 64)
PACKETS_WANTED: Final = 100_000
"""A capture has as many iterations as fit into this, at least 2 and at most 8."""

MTU: Final = 4096


class Case(NamedTuple):
    """One capture; times in microseconds."""

    operation: str
    algorithm: str
    ranks: int
    size_bytes: int
    channels: int
    fault: str
    snaplen: int
    iterations: int
    link_gbps: int
    latency_us: float
    compute_us: float
    credits: bool
    packets: int  # about

    @property
    def kind(self) -> str:
        """Operation and algorithm as the analysis should name them."""
        return f"{self.operation} {self.algorithm}"

    @property
    def name(self) -> str:
        """File name of the capture."""
        return "-".join(str(part) for part in self[:8])


def packets_of(operation: str, algorithm: str, ranks: int, size: int, channels: int) -> int:
    """Return about how many packets an iteration has: data, ACKs, credits and theirs."""
    if operation == "alltoall":
        messages, carried = ranks * (ranks - 1) * channels, (ranks - 1) * size
    elif algorithm == "ring" and operation == "allreduce":
        messages, carried = 2 * ranks * (ranks - 1) * channels, 2 * (ranks - 1) * size
    elif algorithm == "halving_doubling":
        messages, carried = 2 * ranks * (ranks.bit_length() - 1) * channels, 2 * (ranks - 1) * size
    else:
        messages, carried = 2 * (ranks - 1) * channels, 2 * (ranks - 1) * size
    return carried // MTU + 4 * messages + 3 * carried // 524_288


def case_of(operation: str, algorithm: str, ranks: int, size: int, channels: int) -> Case:
    """Return the case of a cell of the grid, what is left open drawn by its own seed."""
    cell = f"{operation} {algorithm} {ranks} {size} {channels}"
    rng = np.random.default_rng(zlib.crc32(cell.encode()))
    # NCCL grants credits; who halves and doubles (MPI, Gloo) does not. Between two ranks nothing
    # else tells that from a ring.
    credits = algorithm != "halving_doubling" and bool(ranks == 2 or rng.random() < 0.8)
    fault = "none" if rng.random() < 0.5 else str(rng.choice(FAULTS))
    packets = packets_of(operation, algorithm, ranks, size, channels)
    iterations = int(np.clip(PACKETS_WANTED // packets, 2, 8))
    return Case(
        operation,
        algorithm,
        ranks,
        size,
        channels,
        fault,
        int(rng.choice(SNAPLENS, p=(0.6, 0.2, 0.2))),
        iterations,
        int(rng.choice((100, 200, 400))),
        float(rng.choice((1.0, 2.0, 4.0, 8.0))),
        float(rng.choice((50.0, 200.0, 1000.0))),
        credits,
        packets * iterations,
    )


def grid() -> Iterator[Case]:
    """Yield the cases in which the four kinds of the grid's name meet all its values."""
    for (operation, algorithm), ranks, size, channels in product(KINDS, RANKS, SIZES, CHANNELS):
        yield case_of(operation, algorithm, ranks, size, channels)
    for (operation, algorithm), ranks, size in product(KINDS, ODD_RANKS, SIZES[1:5:3]):
        if algorithm != "halving_doubling":
            yield case_of(operation, algorithm, ranks, size, 2)


def other_operations() -> Iterator[Case]:
    """Yield the cases of operations that the grid leaves out."""
    sizes, channels = (1 << 18, 1 << 20, 1 << 23), (1, 4)
    for kind, ranks, size, lanes in product(OTHER_KINDS, (4, 8, 16), sizes, channels):
        yield case_of(*kind, ranks, size, lanes)


def faults_of(case: Case) -> list[dict[str, Any]]:
    """Return the faults of a case as a recipe says them."""
    begin_us = case.compute_us
    return {
        "none": [],
        "loss": [{"kind": "loss", "where": "fabric", "ratio": 0.001}],
        "loss_before": [{"kind": "loss", "where": "uplink", "ratio": 0.001}],
        "tail_loss": [{"kind": "tail_loss", "flow": {"src": 1}, "message": 1}],
        "ce": [{"kind": "ce", "where": "fabric", "ratio": 0.05}],
        "reorder": [{"kind": "reorder", "where": "fabric", "ratio": 0.01}],
        "pause": [{"kind": "pfc", "host": 1, "start_us": begin_us, "storms": 3}],
        "slow_rank": [{"kind": "slow_rank", "host": 1, "late_us": 1000.0}],
        "slow_link": [
            {"kind": "slow_link", "host": 1, "direction": "up", "rate_gbps": case.link_gbps / 5}
        ],
    }[case.fault]


def generate(case: Case, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Make the capture of a case; return it and its truth about the collective."""
    recipe = Recipe.model_validate(
        {
            "name": case.name,
            "network": {
                "hosts": case.ranks,
                "link_gbps": case.link_gbps,
                "latency_us": case.latency_us,
                "mtu": MTU,
            },
            "transport": {
                "ack_timeout_us": 20_000.0,
                "initial_psn": "random",
                "out_of_order": "tolerate" if case.fault == "reorder" else "nak",
            },
            "capture": {"snaplen": case.snaplen},
            "workloads": [
                {
                    "kind": case.operation,
                    "algorithm": case.algorithm,
                    "channels": case.channels,
                    "message_bytes": case.size_bytes,
                    "iterations": case.iterations,
                    "compute_us": case.compute_us,
                    "credits": case.credits,
                }
            ],
            "faults": faults_of(case),
        }
    )
    path = folder / f"{case.name}.pcap"
    truth = generate_recipe(recipe, str(path)).content
    path.with_name(f"{case.name}.truth.json").unlink()
    collective: dict[str, Any] = truth["collectives"][0]
    return path, collective
