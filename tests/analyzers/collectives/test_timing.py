"""Who waits for whom between two ranks, which the bytes alone do not tell."""

from pathlib import Path
from typing import Any

import pytest

from fabricscope.collectors.synthetic.generator import generate_recipe
from fabricscope.collectors.synthetic.recipe import Recipe
from fabricscope.pipeline.analysis import Options, analyze

SLICE: int = 32_768
KINDS = {
    "allreduce": ["ring", "tree", "halving_doubling"],
    "alltoall": ["direct"],
}
FAULTS: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "slow_link": [{"kind": "slow_link", "host": 1, "direction": "up", "rate_gbps": 20.0}],
    "slow_rank": [{"kind": "slow_rank", "host": 1, "late_us": 500.0}],
    "pfc": [{"kind": "pfc", "host": 1, "start_us": 100.0, "storms": 3}],
    "loss": [{"kind": "loss", "where": "fabric", "ratio": 0.002}],
}


def named(
    folder: Path, operation: str, algorithm: str, slices: int, channels: int, fault: str
) -> dict[str, Any]:
    """Return the one collective found between two ranks that each send `slices` a channel."""
    # Of an AllReduce each rank sends S, of an AlltoAll half of it.
    size = slices * channels * SLICE * (2 if operation == "alltoall" else 1)
    recipe = Recipe.model_validate(
        {
            "name": "pair",
            "network": {"hosts": 2, "link_gbps": 100.0, "latency_us": 4.0},
            "capture": {"snaplen": 128},
            "workloads": [
                {
                    "kind": operation,
                    "algorithm": algorithm,
                    "channels": channels,
                    "message_bytes": size,
                    "slice_bytes": SLICE,
                    "iterations": 4,
                    "compute_us": 100.0,
                    "credits": algorithm != "halving_doubling",
                }
            ],
            "faults": FAULTS[fault],
        }
    )
    generate_recipe(recipe, str(folder / "pair.pcap"))
    result = analyze([str(folder / "pair.pcap")], Options(), lambda *_: None).collectives
    (found,) = result.collectives
    assert found["iterations"] == 4
    return found


@pytest.mark.parametrize(("channels", "fault"), [(4, "none"), *((1, fault) for fault in FAULTS)])
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
