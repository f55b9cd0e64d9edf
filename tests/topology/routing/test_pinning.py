"""Paths that a user gave to queue pairs."""

from typing import Any

import numpy as np
import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.builders import build
from fabricscope.topology.experiment import prepare
from fabricscope.topology.routing.balancing import Balancing, assign_hashes
from fabricscope.topology.routing.pinning import GivenPath
from fabricscope.topology.routing.routes import RouteState, build_routes, find_paths
from fabricscope.topology.scenario_file import Source, build_scenario
from fabricscope.topology.simulation import simulate


def devices_met(fabric: Any, balancing: Balancing, source: str, destination: str) -> set[str]:
    routes = build_routes(fabric)
    ends = [np.array([fabric.find_device(name)], np.int32) for name in (source, destination)]
    hashes = assign_hashes(fabric, routes, balancing, *ends)
    state = RouteState.initial(routes)
    path = find_paths(routes, state, balancing.seeds(fabric), *ends, hashes)[0]
    met = fabric.channels.target[path[path >= 0]]
    return {fabric.devices[device].name for device in met.tolist()}


@pytest.mark.parametrize("spine", ["spine0", "spine3"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_queue_pair_goes_the_path_that_it_was_given(spine: str, seed: int) -> None:
    fabric = build("leaf-spine:4x4x4@100G")
    first, last = (fabric.devices[fabric.endpoints[place]].name for place in (0, -1))
    paths = (GivenPath(first, "*", (spine,)),)
    assert spine in devices_met(fabric, Balancing("pinned", seed=seed, paths=paths), first, last)


def test_two_switches_of_three_tiers_are_met() -> None:
    fabric = build("fat-tree:8@100G")
    names = {device.name for device in fabric.devices}
    first, last = (fabric.devices[fabric.endpoints[place]].name for place in (0, -1))
    free = devices_met(fabric, Balancing("pinned", seed=5), first, last)
    core = sorted(name for name in names if name.startswith("core"))
    for wanted in core[:3]:
        given = Balancing("pinned", seed=6, paths=(GivenPath(first, last, (wanted,)),))
        assert wanted in devices_met(fabric, given, first, last)
    assert first not in free


CASE: dict[str, Any] = {
    "fabric": "leaf-spine:2x4x2@100G",
    "workload": "allreduce:ring:1MiB:order=rail",
    "recovery": ["none"],
    "failures": [],
    "engine": "flow",  # acknowledgements go other ways
}


def test_pinned_to_one_uplink_all_share_it() -> None:
    def loads(balancing: Any) -> dict[str, float]:
        document = simulate({**CASE, "balancing": balancing}, Source())
        rows = document["results"][0]["link_loads"]
        return {f"{row['from']}-{row['to']}": row["before"] or row["after"] for row in rows}

    given = loads({"kind": "pinned", "paths": [{"from": "*", "to": "*", "via": "spine2"}]})
    used = {name for name, load in given.items() if load}
    assert used == {"leaf0-spine2", "leaf1-spine2", "spine2-leaf0", "spine2-leaf1"}
    assert len({name for name, load in loads("pinned").items() if load}) > len(used)


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ([{"from": "*", "to": "*", "via": ["leaf9"]}], "balancing: .*leaf9"),
        ([{"from": "*", "to": "*", "via": ["spine0", "spine1"]}], "paths.0: no shortest path"),
        ([{"from": "nobody", "to": "*", "via": "spine0"}], "paths.0: the workload has no transfer"),
    ],
)
def test_paths_that_do_not_exist_are_refused(paths: Any, message: str) -> None:
    source = Source("case.toml")
    with pytest.raises(FabricError, match=message):
        prepare(
            build_scenario({**CASE, "balancing": {"kind": "pinned", "paths": paths}}, source),
            source,
        )


def test_paths_need_the_kind_pinned() -> None:
    balancing = {"kind": "spray", "paths": [{"from": "*", "to": "*", "via": "spine0"}]}
    with pytest.raises(FabricError, match="paths are of kind pinned"):
        build_scenario({**CASE, "balancing": balancing}, Source())
