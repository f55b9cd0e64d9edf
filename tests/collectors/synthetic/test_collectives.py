"""Who sends how much to whom."""

from pathlib import Path
from typing import Any

import pytest

from fabricscope.collectors.synthetic import generate, tables
from fabricscope.collectors.synthetic.collectives import tree_parents
from fabricscope.collectors.synthetic.recipe import Recipe
from fabricscope.collectors.synthetic.simulation import build_plan


def test_ring_carries_its_share(tmp_path: Path) -> None:
    """A ring AllReduce sends 2 (n - 1) / n times S over every edge, credits aside."""
    truth = generate("ring-allreduce", str(tmp_path / "out.pcap")).content
    job = truth["collectives"][0]
    expected = 2 * 3 * job["message_bytes"] // 4 * job["iterations"]
    for source, destination in job["edges"]:
        there = sum(
            pair["payload_bytes"]
            for pair in truth["taps"][0]["queue_pairs"]
            if (pair["src"], pair["dst"]) == (source, destination)
        )
        assert there == expected
    for visible, true in zip(job["iteration_spans"]["tap"], job["true_spans"], strict=True):
        assert true[0] <= visible[0] < visible[1] <= true[1] + 10_000


def test_slow_rank_and_slow_link_stretch_the_spans(tmp_path: Path) -> None:
    truth = generate("slow-rank", str(tmp_path / "a.pcap")).content
    job = truth["collectives"][0]
    starts = [span[0] for span in job["true_spans"]]
    assert job["straggler"]["rank"] == 2
    assert starts[2] - starts[1] < 1_000_000
    ends = [span[1] for span in job["true_spans"]]
    assert ends[4] - ends[3] > 1_500_000
    fast = generate("ring-allreduce", str(tmp_path / "b.pcap")).content["collectives"][0]
    change: dict[str, object] = {
        "faults": [{"kind": "slow_link", "host": 1, "direction": "up", "rate_gbps": 5.0}]
    }
    slow_link = generate("ring-allreduce", str(tmp_path / "c.pcap"), overrides=change).content
    spans = slow_link["collectives"][0]["true_spans"]
    assert spans[0][1] - spans[0][0] > 3 * (fast["true_spans"][0][1] - fast["true_spans"][0][0])


def bytes_by_edge(truth: dict[str, Any]) -> dict[tuple[str, str], int]:
    edges: dict[tuple[str, str], int] = {}
    for pair in truth["taps"][0]["queue_pairs"]:
        key = pair["src"], pair["dst"]
        edges[key] = edges.get(key, 0) + pair["payload_bytes"]
    return edges


@pytest.mark.parametrize("count", [2, 3, 5, 8, 17])
def test_tree_has_one_root_and_at_most_two_children_elsewhere(count: int) -> None:
    parents = tree_parents(count)
    assert set(parents) == set(range(1, count))
    for rank in parents:
        steps = 0
        while rank:
            rank, steps = parents[rank], steps + 1
        assert steps <= count.bit_length()
    children = [list(parents.values()).count(rank) for rank in range(count)]
    assert children[0] == 1
    assert max(children) <= 2


def test_tree_of_three_has_rank_two_as_hub() -> None:
    assert tree_parents(3) == {2: 0, 1: 2}


def test_all_to_all_sends_equal_shares_to_all(tmp_path: Path) -> None:
    change: dict[str, object] = {"workloads.0.credits": False}
    truth = generate("alltoall", str(tmp_path / "a.pcap"), overrides=change).content
    job = truth["collectives"][0]
    edges = bytes_by_edge(truth)
    data = {edge: edges[edge] for edge in map(tuple, job["edges"])}
    assert len(data) == 30
    assert set(data.values()) == {job["message_bytes"] // 6 * job["iterations"]}


def test_halving_doubling_moves_halves_quarters_and_eighths(tmp_path: Path) -> None:
    truth = generate("halving-doubling", str(tmp_path / "a.pcap")).content
    size = truth["collectives"][0]["message_bytes"] * truth["collectives"][0]["iterations"]
    edges = bytes_by_edge(truth)
    hosts = truth["hosts"]
    for rank in range(8):
        for distance in (1, 2, 4):
            assert edges[hosts[rank], hosts[rank ^ distance]] == 2 * size * distance // 8


@pytest.mark.parametrize("credits", [True, False])
@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [
        ("allreduce", "ring"),
        ("allreduce", "tree"),
        ("allreduce", "halving_doubling"),
        ("alltoall", "direct"),
        ("broadcast", "ring"),
        ("broadcast", "tree"),
        ("p2p", "direct"),
    ],
)
def test_nobody_sends_before_it_has_computed(kind: str, algorithm: str, credits: bool) -> None:
    workload = {
        "kind": kind, "algorithm": algorithm, "credits": credits, "channels": 2, "iterations": 2,
        "message_bytes": 1 << 20, "slice_bytes": 1 << 16,
    }  # fmt: skip
    recipe = Recipe.model_validate(
        {"name": "plan", "network": {"hosts": 8}, "workloads": [workload]}
    )
    tasks = build_plan(recipe)[0].tasks
    timer: dict[int, int] = {}
    reached: list[set[int]] = []
    for number, task in enumerate(tasks):
        reached.append(set(task.after).union(*(reached[before] for before in task.after)))
        if task.role == tables.ROLE_COMPUTE:
            timer[task.rank] = number
        elif task.role == tables.ROLE_DATA:
            assert timer[task.rank] in reached[number]


def test_halving_and_doubling_wait_for_all_that_came_before() -> None:
    workload = {
        "kind": "allreduce", "algorithm": "halving_doubling", "credits": False,
        "message_bytes": 1 << 12,
    }  # fmt: skip
    recipe = Recipe.model_validate(
        {"name": "plan", "network": {"hosts": 8}, "workloads": [workload]}
    )
    plan = build_plan(recipe)[0]
    received: dict[int, set[int]] = {rank: set() for rank in range(8)}
    sent = [number for number, task in enumerate(plan.tasks) if task.role == tables.ROLE_DATA]
    for begin in range(0, len(sent), 8):
        for number in sent[begin : begin + 8]:
            assert received[plan.tasks[number].rank] <= set(plan.tasks[number].after)
        for number in sent[begin : begin + 8]:
            received[plan.flows[plan.tasks[number].flow].dst].add(number)
