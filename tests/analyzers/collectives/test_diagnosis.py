"""Who holds a collective back: ranks that compute longer, told apart from the network's faults."""

from pathlib import Path
from typing import Any

import pytest
from made_collectives import only_collective

KINDS: dict[str, dict[str, Any]] = {
    "ring": {"kind": "allreduce", "algorithm": "ring"},
    "tree": {"kind": "allreduce", "algorithm": "tree"},
    "silent tree": {"kind": "allreduce", "algorithm": "tree", "credits": False, "channels": 2},
    "halving": {"kind": "allreduce", "algorithm": "halving_doubling", "credits": False},
    "alltoall": {"kind": "alltoall", "algorithm": "direct"},
    "broadcast": {"kind": "broadcast", "algorithm": "ring"},
}
SIZE = 262_144


@pytest.mark.parametrize("kind", KINDS)
def test_a_slow_rank_is_named(kind: str, tmp_path: Path) -> None:
    found = only_collective(tmp_path, 4, "slow_rank", message_bytes=SIZE, **KINDS[kind])
    late = found["straggler"]
    assert (late["kind"], late["ip"]) == ("compute", "10.0.0.2")
    assert late["late_ms"] == pytest.approx(0.5, rel=0.1)
    assert late["evidence"]["late_iterations"] >= 5


@pytest.mark.parametrize("fault", ["none", "pfc", "loss", "loss_before", "tail_loss", "ce"])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_else_is_a_slow_rank(kind: str, fault: str, tmp_path: Path) -> None:
    found = only_collective(tmp_path, 4, fault, message_bytes=SIZE, **KINDS[kind])
    assert found["straggler"] is None


@pytest.mark.parametrize("hosts", [2, 5])
def test_packets_out_of_order_slow_nobody(hosts: int, tmp_path: Path) -> None:
    found = only_collective(tmp_path, hosts, "reorder", message_bytes=1 << 20, **KINDS["ring"])
    assert found["straggler"] is None
