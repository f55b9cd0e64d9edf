"""Slow links, by the rate of messages once begun, in each algorithm and in single packets."""

from pathlib import Path
from typing import Any

import pytest
from made_collectives import only_collective

KINDS: dict[str, dict[str, Any]] = {
    "ring": {"kind": "allreduce", "algorithm": "ring"},
    "tree": {"kind": "allreduce", "algorithm": "tree"},
    "two trees": {"kind": "allreduce", "algorithm": "tree", "channels": 2, "credits": False},
    "halving": {"kind": "allreduce", "algorithm": "halving_doubling", "credits": False},
    "alltoall": {"kind": "alltoall", "algorithm": "direct"},
    "broadcast": {"kind": "broadcast", "algorithm": "ring", "credits": False},
}


@pytest.mark.parametrize("hosts", [2, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_a_slow_link_is_named_at_its_sender(kind: str, hosts: int, tmp_path: Path) -> None:
    if kind == "broadcast" and hosts == 2:
        pytest.skip("the slow host of two only receives")
    found = only_collective(tmp_path, hosts, "slow_link", message_bytes=1 << 20, **KINDS[kind])
    slow = found["straggler"]
    assert (slow["kind"], slow["ip"], slow["direction"]) == ("link", "10.0.0.2", "up")
    assert slow["rate_gbps"] == pytest.approx(20.0, rel=0.05)


@pytest.mark.parametrize(
    ("hosts", "workload"),
    [
        (8, KINDS["alltoall"] | {"message_bytes": 32_768}),
        (2, KINDS["ring"] | {"message_bytes": 65_536, "channels": 8}),
    ],
)
def test_messages_of_a_packet_each(hosts: int, workload: dict[str, Any], tmp_path: Path) -> None:
    found = only_collective(tmp_path, hosts, "slow_link", **workload)
    slow = found["straggler"]
    assert (slow["kind"], slow["ip"], slow["direction"]) == ("link", "10.0.0.2", "up")


@pytest.mark.parametrize("fault", ["loss", "loss_before", "reorder"])
@pytest.mark.parametrize("size", [1 << 19, 1 << 21])
def test_repetitions_make_no_slow_link(fault: str, size: int, tmp_path: Path) -> None:
    workload = KINDS["alltoall"] | {"message_bytes": size, "channels": 2}
    assert only_collective(tmp_path, 4, fault, **workload)["straggler"] is None
