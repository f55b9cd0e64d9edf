"""Who waits for whom between two ranks, which the bytes alone do not tell."""

from pathlib import Path
from typing import Any

import pytest
from made_collectives import only_collective

SLICE = 32_768
KINDS = {"allreduce": ["ring", "tree", "halving_doubling"], "alltoall": ["direct"]}


def named(
    folder: Path, operation: str, algorithm: str, slices: int, channels: int, fault: str
) -> dict[str, Any]:
    """Return the one collective found between two ranks that each send `slices` a channel."""
    # Of an AllReduce each rank sends S, of an AlltoAll half of it.
    return only_collective(
        folder,
        2,
        fault,
        kind=operation,
        algorithm=algorithm,
        channels=channels,
        message_bytes=slices * channels * SLICE * (2 if operation == "alltoall" else 1),
        slice_bytes=SLICE,
        credits=algorithm != "halving_doubling",
    )


@pytest.mark.parametrize(
    ("channels", "fault"),
    [(4, "none"), (1, "none"), (1, "slow_link"), (1, "slow_rank"), (1, "pfc"), (1, "loss")],
)
@pytest.mark.parametrize(
    ("operation", "algorithm"), [(o, a) for o, known in KINDS.items() for a in known]
)
def test_two_ranks(
    operation: str, algorithm: str, channels: int, fault: str, tmp_path: Path
) -> None:
    found = named(tmp_path, operation, algorithm, 2, channels, fault)
    assert (found["operation"], found["algorithm"]) == (operation, algorithm)


@pytest.mark.parametrize("algorithm", ["ring", "tree"])
def test_two_ranks_with_streams(algorithm: str, tmp_path: Path) -> None:
    found = named(tmp_path, "allreduce", algorithm, 16, 1, "none")
    assert found["algorithm"] == algorithm


def test_streams_both_ways_leave_a_doubt(tmp_path: Path) -> None:
    """What begins and runs alike at both ends may be either; the other one is named."""
    found = named(tmp_path, "alltoall", "direct", 8, 1, "none")
    assert "alltoall" in {found["operation"], *found["alternatives"]}
    assert found["confidence"] <= 0.6


def test_a_slow_partner_tells_streams_apart(tmp_path: Path) -> None:
    found = named(tmp_path, "alltoall", "direct", 16, 1, "slow_link")
    assert found["operation"] == "alltoall"
