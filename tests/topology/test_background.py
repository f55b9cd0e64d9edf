"""A scenario in a process of its own: the same document, progress, errors, and its cancellation."""

import threading
import time
from typing import Any

import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.background import SimulationCancelled, run_scenario
from fabricscope.topology.scenario_file import Source
from fabricscope.topology.simulation import simulate

CASE: dict[str, Any] = {
    "fabric": "leaf-spine:2x2x2@100G",
    "workload": "allreduce:ring:1MiB",
    "failures": ["leaf1-spine1@20us"],
    "recovery": ["dpfr", "bgp"],
    "nic": {"timeout": 8},
}
LONG = {**CASE, "workload": "allreduce:ring:1GiB:iterations=200", "engine": "packet"}


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(part) for key, part in value.items() if key != "elapsed_s"}
    return [without_times(part) for part in value] if isinstance(value, list) else value


def test_the_document_is_that_of_a_run_in_the_same_process() -> None:
    seen: list[tuple[int, int]] = []
    document = run_scenario(CASE, lambda done, total: seen.append((done, total)))
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert without_times(document) == without_times(simulate(CASE, Source()))
    windows = {"before", "during", "after"}
    for result in document["results"]:
        assert result["link_loads"]
        assert all(windows <= set(row) for row in result["link_loads"])


def test_a_run_is_called_off_in_its_midst_at_once() -> None:
    stop = threading.Event()
    ended: list[float] = []

    def work() -> None:
        with pytest.raises(SimulationCancelled):
            run_scenario(LONG, cancelled=stop.is_set)
        ended.append(time.monotonic())

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(2.0)
    assert not ended
    stop.set()
    asked = time.monotonic()
    thread.join(30)
    assert ended
    assert ended[0] - asked < 5


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"failures": ["leaf9-spine1@1ms"]}, "failures.0"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_errors_come_back_as_their_sentence(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(FabricError, match=words):
        run_scenario({**CASE, **changed}, file="case.toml")
