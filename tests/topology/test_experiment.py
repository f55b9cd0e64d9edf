"""Scenarios built on fabrics: waits, starts, and what does not fit together."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.experiment import Experiment, prepare
from fabricscope.topology.scenario_file import Source, build_scenario

LEAST = {
    "fabric": "leaf-spine:2x2x2@100G",
    "workload": "alltoall:1MiB",
    "recovery": ["dpfr", "none"],
    "failures": ["leaf1-spine1@1ms"],
}


def experiment_of(source: Source | None = None, **keys: Any) -> Experiment:
    place = source or Source("case.toml")
    return prepare(build_scenario({**LEAST, **keys}, place), place)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"fabric": "leaf-spine:1000000x4x1000"}, "^case.toml: fabric: .* more than the 200,000"),
        ({"fabric": "leaf-spine:2x2x2@-100G"}, "^case.toml: fabric: .*rate '-100G' is negative"),
        ({"failures": ["leaf9-spine1@1ms"]}, "^case.toml: failures.0: .*no link 'leaf9-spine1'"),
        ({"recovery": ["dpfx"]}, "^case.toml: recovery.0: .*did you mean dpfr"),
        ({"recovery": [{"name": "bgp", "parameters": {"x": 1}}]}, "^case.toml: recovery.0: .*'x'"),
        ({"workload": "alltoall:1MiB:ranks=100"}, "^case.toml: workload: .*has 4; take fewer"),
        ({"taps": ["leaf1-spine7"]}, "^case.toml: taps.0: .*no link"),
    ],
)
def test_what_does_not_fit_is_refused_at_once(keys: dict[str, Any], message: str) -> None:
    began_s = time.perf_counter()
    with pytest.raises(FabricError, match=message) as caught:
        experiment_of(**keys)
    assert "\n" not in str(caught.value)
    assert time.perf_counter() - began_s < 1.0


def test_endpoints_that_no_path_joins_are_refused(tmp_path: Path) -> None:
    fabric = tmp_path / "islands.toml"
    fabric.write_text(
        'name = "islands"\n'
        '[[device]]\nname = "leaf0"\nkind = "leaf"\n'
        '[[device]]\nname = "leaf1"\nkind = "leaf"\n'
        '[[device]]\nname = "host0"\nkind = "host"\n'
        '[[device]]\nname = "host1"\nkind = "host"\n'
        '[[link]]\na = "host0"\nb = "leaf0"\nrate_gbps = 100\n'
        '[[link]]\na = "host1"\nb = "leaf1"\nrate_gbps = 100\n'
    )
    source = Source(str(tmp_path / "case.toml"))
    with pytest.raises(FabricError, match=r"case.toml: .*host\d"):
        experiment_of(source, fabric="islands.toml", failures=[])


def test_channels_between_switches_and_upwards() -> None:
    experiment = experiment_of()
    assert len(experiment.switch_channels) == 8
    tiers = [device.tier for device in experiment.fabric.devices]
    channels = experiment.fabric.channels
    assert len(experiment.up_channels) == 4
    for channel in experiment.up_channels:
        assert tiers[channels.target[channel]] > tiers[channels.source[channel]]
    assert experiment.start_ns == 1e6


def test_a_workload_waits_for_the_ends_of_another() -> None:
    parts = [
        {"name": "a", "operation": "incast", "size": "1MiB", "ranks": 3, "start": "5us"},
        {"name": "b", "operation": "alltoall", "size": "1MiB", "ranks": 2, "after": ["a"]},
    ]
    experiment = experiment_of(workload=parts)
    transfers = experiment.transfers
    first, second, join = 2, 2, 1
    assert len(transfers.source) == first + second + join
    barrier = first + second
    assert transfers.source[barrier] == transfers.destination[barrier]
    assert transfers.waits.tolist() == [0, 0, 1, 1, 2]
    start = transfers.successor_start
    followers = [transfers.successors[start[n] : start[n + 1]].tolist() for n in range(5)]
    assert followers == [[barrier], [barrier], [], [], [2, 3]]
    assert np.allclose(transfers.delay_ns, [5000, 5000, 0, 0, 0])
    assert [job.name for job in experiment.jobs] == ["a", "b"]


def test_rings_with_too_many_transfers_are_kept_as_a_rule() -> None:
    small = experiment_of(workload="allreduce:ring:1MiB:iterations=3")
    large = experiment_of(workload="allreduce:ring:1MiB:iterations=200000")
    assert small.rings is None
    assert large.rings is not None
    for name in ("transfer_count", "payload_bytes"):
        each = getattr(small, name) / 3
        assert getattr(large, name) == each * 200_000
    assert large.count_packets() == small.count_packets() / 3 * 200_000
    with pytest.raises(FabricError, match=r"^case.toml: engine: 4,800,000 transfers are too many"):
        experiment_of(workload="allreduce:ring:1MiB:iterations=200000", engine="packet")
    with pytest.raises(FabricError, match="more than the 20,000,000"):
        experiment_of(workload="allreduce:ring:1MiB:iterations=1000000:jobs=21:ranks=2",
                      fabric="leaf-spine:2x2x64@100G")  # fmt: skip
