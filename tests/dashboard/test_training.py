"""Jobs in words: who holds them back, and what is said when little is known."""

from itertools import pairwise

import pytest
from examples.rows import address
from examples.training import training_document, tree_document

from fabricscope.dashboard import training
from fabricscope.dashboard.training import Edge, Suspect


def _job(document: dict[str, object]) -> training.Job:
    return training.list_jobs(document)[0]


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (
            "compute",
            "Rank 10.77.0.13 holds the job back: it comes to each collective last, "
            "80.2 ms after the others.",
        ),
        ("link", "A link of 10.77.0.12 holds the job back: slow uplink 400 Mb/s."),
        (None, "No rank and no link holds the job back."),
    ],
)
def test_one_sentence_says_who_holds_the_job_back(kind: str | None, sentence: str) -> None:
    assert training.describe_diagnosis(_job(training_document(kind))) == sentence


def test_what_was_not_captured_is_not_acquitted() -> None:
    document = training_document(None)
    document["collectives"][0]["partial_view"] = True
    assert "captured part" in training.describe_diagnosis(_job(document))


def test_the_drawing_is_of_the_collective_that_is_held_back() -> None:
    document = training_document()
    larger = document["collectives"][1]
    larger.update(message_bytes=10**12, ranks=larger["ranks"][::-1])
    assert _job(document).ranks == document["collectives"][0]["ranks"]
    document["collectives"][0]["straggler"] = None
    assert _job(document).ranks == larger["ranks"]


def test_the_analysis_has_the_first_word() -> None:
    document = training_document()
    document["jobs"][0]["diagnosis"] = "Rank 5 waits for its disk."
    assert training.describe_diagnosis(_job(document)) == "Rank 5 waits for its disk."


def test_a_job_without_collectives_is_not_called_healthy() -> None:
    document = training_document()
    document["collectives"] = []
    assert training.describe_diagnosis(_job(document)).startswith("No collective was recognised")


def test_collectives_go_to_their_job() -> None:
    document = training_document()
    other = document["collectives"][0] | {"ranks": ["10.9.0.1", "10.9.0.2"]}
    document["collectives"].append(other)
    jobs = training.list_jobs(document)
    assert [len(job.collectives) for job in jobs] == [3, 1]
    assert jobs[1].ranks == ["10.9.0.1", "10.9.0.2"]
    # Two jobs may share hosts: the number that the analysis gives counts more than the ranks.
    document["jobs"].append(document["jobs"][0])
    document["collectives"][1]["job"] = 1
    assert [len(job.collectives) for job in training.list_jobs(document)] == [2, 1, 1]


def test_ranks_are_in_ring_order() -> None:
    document = training_document()
    ring = document["collectives"][0]["ranks"]
    document["jobs"][0]["ranks"] = sorted(ring, reverse=True)
    assert _job(document).ranks == ring


def test_bandwidth_of_each_iteration_follows_nccl_tests() -> None:
    collective = {
        "operation": "allreduce",
        "ranks": ["a", "b", "c", "d"],
        "message_bytes": 1000,
        "iteration_spans": [[0, 1000], [5, 5]],
    }
    assert training.bus_bandwidths_gbps(collective) == [pytest.approx(8 * 1.5), None]
    for operation, ranks, factor in (
        ("allgather", 4, 0.75),
        ("alltoall", 8, 7 / 8),
        ("reducescatter", 2, 0.5),
        ("broadcast", 4, 1.0),
    ):
        entry = {"operation": operation, "ranks": ["a"], "rank_count": ranks}
        assert training.bus_factor(entry) == pytest.approx(factor)


def test_a_ring_is_closed_unless_seen_in_part() -> None:
    document = training_document()
    ring = [address(rank) for rank in range(8)]
    edges = training.edges_of(_job(document), document)
    assert edges == [*pairwise(ring), (ring[-1], ring[0])]
    for collective in document["collectives"]:
        collective["partial_view"] = True
    assert training.edges_of(_job(document), document) == edges[:-1]


def test_a_tree_has_the_edges_that_carry_data() -> None:
    document = tree_document()
    edges = training.edges_of(_job(document), document)
    hub = address(2)
    assert len(edges) == 6
    assert all(hub in edge for edge in edges)


@pytest.mark.parametrize(
    ("direction", "slow"),
    [
        ("uplink", {("b", "c")}),
        ("out", {("b", "c")}),
        ("downlink", {("a", "b")}),
        ("b -> c", {("b", "c")}),
        ("", {("a", "b"), ("b", "c")}),
    ],
)
def test_a_slow_direction_stands_for_edges(direction: str, slow: set[Edge]) -> None:
    suspect = Suspect("link", "b", direction, None, 0.4)
    edges = [("a", "b"), ("b", "c"), ("c", "a")]
    assert training.slow_edges(suspect, edges) == slow
    assert training.slow_edges(suspect._replace(kind="compute"), edges) == set()


def test_facts_name_cost_and_volume() -> None:
    facts = {fact.label: fact for fact in training.list_job_facts(_job(training_document()))}
    assert facts["Ranks"].note == "data parallel"
    assert (facts["Step time"].value, facts["Step time"].note) == ("118 ms", "p99 121 ms")
    assert facts["Communication"].value == "81 %"
    assert (facts["Checkpoints"].value, facts["Checkpoints"].note) == (
        "2",
        "10.1 MiB, cost 20.3 ms",
    )
    assert (facts["Data set reads"].value, facts["Data set reads"].note) == (
        "160",
        "40 MiB, each 4.10 ms, at most 12 ms",
    )
    assert facts["Mirror lost"].value == "0.100 %"


def test_a_single_step_has_no_share_of_communication() -> None:
    document = training_document()
    document["jobs"][0]["steps"] = 1
    labels = [fact.label for fact in training.list_job_facts(_job(document))]
    assert "Communication" not in labels


def test_checkpoints_begin_since_the_first_packet() -> None:
    document = training_document()
    first, _ = training.list_checkpoints(_job(document), document["capture"]["start_ns"])
    assert first["start_s"] == pytest.approx(9 * 0.118 + 0.09)


def test_facts_that_are_not_known_are_left_out() -> None:
    facts = training.list_job_facts(_job(tree_document()))
    assert [fact.label for fact in facts] == ["Ranks"]
    document = training_document()
    document["jobs"] = [{"ranks": ["a", "b"], "step_ms": 7.5, "step_jitter_ms": 1.5}]
    facts = {fact.label: fact for fact in training.list_job_facts(_job(document))}
    assert facts["Step time"].value == "7.50 ms"
    assert facts["Jitter"].note == "20 % of the step time"
