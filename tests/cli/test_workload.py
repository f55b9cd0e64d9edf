"""Workloads from captures: what is taken over, what is left out."""

from typing import Any

from fabricscope.cli.workload import read_workload, translate


def collective(**keys: Any) -> dict[str, Any]:
    spans = [[1000, 2000], [2500, 3500], [4300, 5300]]
    return {
        "operation": "allreduce", "algorithm": "ring", "ranks": ["10.0.0.1", "10.0.0.2"],
        "message_bytes": 1024.0, "iterations": 3, "iteration_spans": spans, **keys,
    }  # fmt: skip


def test_collectives_keep_size_ranks_start_and_pauses() -> None:
    later = collective(operation="alltoall", algorithm="unknown", iteration_spans=[[9000, 9500]])
    parts, left_out = translate({"collectives": [collective(), later]})
    assert not left_out
    assert parts[0] == {
        "name": "capture-1", "operation": "allreduce", "algorithm": "ring", "size": "1024B",
        "ranks": 2, "iterations": 3, "compute": "650ns", "start": "0ns",
    }  # fmt: skip
    assert parts[1]["algorithm"] == "direct"
    assert parts[1]["start"] == "8000ns"


def test_what_cannot_be_simulated_is_named() -> None:
    parts, left_out = translate({"collectives": [collective(operation="barrier")]})
    assert not parts
    assert left_out == ["barrier of 2 ranks, 1,024 bytes"]


def test_a_shipped_capture_becomes_a_workload(repository: Any) -> None:
    parts = read_workload(str(repository / "pcaps/slow-link.pcap"), quiet=True)
    assert parts[0]["operation"] == "allreduce"
    assert parts[0]["ranks"] >= 2
