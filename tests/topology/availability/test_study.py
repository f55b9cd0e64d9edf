"""The study as a document, and against what one large cluster reported."""

import json

import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.availability.study import build_settings, run_study

LLAMA_INTERRUPTIONS = 419
"""Unexpected interruptions of Llama 3 405B on 16,384 H100 in 54 days (arXiv 2407.21783)."""
LLAMA_NETWORK = 35 + 7
"""Of them switches and cables, and NICs."""


@pytest.fixture(scope="module")
def document():
    cluster, rates = build_settings({})
    return run_study([1024, 16_384], ["dpfr", "bgp", "none"], 100, 1, cluster, rates)


def _result(document, gpus, recovery):
    return next(
        result
        for result in document["availability"]["results"]
        if (result["gpus"], result["recovery"]) == (gpus, recovery)
    )


def test_interruptions_are_those_of_llama_within_a_factor_of_three(document):
    days = 365.25 / 12
    result = _result(document, 16_384, "bgp")
    simulated = result["interruptions"]["mean"] * 54 / days
    assert LLAMA_INTERRUPTIONS / 3 < simulated < LLAMA_INTERRUPTIONS * 3
    network = result["network_interruptions"]["mean"] * 54 / days
    assert LLAMA_NETWORK / 3 < network < LLAMA_NETWORK * 3


def test_faster_recovery_loses_less(document):
    lost = [_result(document, 16_384, name)["lost_gpu_hours"]["mean"] for name in
            ("dpfr", "bgp", "none")]  # fmt: skip
    assert lost == sorted(lost)
    assert lost[0] < 0.99 * lost[1]


def test_all_schemes_meet_the_same_failures(document):
    failures = [_result(document, 1024, name)["failures_by_cause"] for name in ("dpfr", "none")]
    assert failures[0] == failures[1]


def test_parts_add_up(document):
    for result in document["availability"]["results"]:
        lost = sum(result["lost_by_kind"].values())
        assert lost == pytest.approx(result["lost_gpu_hours"]["mean"])
        causes = sum(result["interruptions_by_cause"].values())
        assert causes == pytest.approx(result["interruptions"]["mean"])
        low, high = result["interruptions"]["ci95"]
        assert low < result["interruptions"]["mean"] < high


def test_the_same_seed_gives_the_same_document(document):
    cluster, rates = build_settings({})
    again = run_study([1024, 16_384], ["dpfr", "bgp", "none"], 100, 1, cluster, rates)
    assert json.dumps(again, allow_nan=False) == json.dumps(document, allow_nan=False)


def test_a_short_nic_timeout_makes_up_for_slow_routing():
    cluster, rates = build_settings({"nic_timeout": "1ms", "nic_retries": 7})
    settings = (cluster, rates)
    document = run_study([4096], ["dpfr", "bfd"], 50, 1, *settings)
    assert (
        _result(document, 4096, "bfd")["network_interruptions"]["mean"]
        > (_result(document, 4096, "dpfr")["network_interruptions"]["mean"])
    )  # seven time-outs of 1 ms end before BFD has converged


@pytest.mark.parametrize(
    ("settings", "sizes", "schemes", "months", "part"),
    [
        ({"wrong": 1}, [1024], ["none"], 10, "no parameter 'wrong'"),
        ({"gpu": -1}, [1024], ["none"], 10, "parameter gpu"),
        ({}, [1], ["none"], 10, "no cluster"),
        ({}, [1024], ["none"], 1, "months"),
        ({}, [1_000_000], ["none"], 100_000, "months"),
        ({}, [1024], ["dpfrr"], 10, "did you mean dpfr"),
    ],
)
def test_what_cannot_be_studied_is_one_sentence(settings, sizes, schemes, months, part):
    with pytest.raises(FabricError) as caught:
        run_study(sizes, schemes, months, 1, *build_settings(settings))
    assert part in str(caught.value)
