"""Equal-cost routes, hashes and what load balancing makes of them."""

import numpy as np
import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.builders import build
from fabricscope.topology.routing.balancing import (
    KINDS,
    assign_hashes,
    pair_ends,
    parse_balancing,
)
from fabricscope.topology.routing.routes import (
    RouteState,
    build_routes,
    device_seeds,
    find_paths,
    longest_path,
)
from fabricscope.topology.workloads.spec import build_transfers, parse_workload


def _random_pairs(fabric, count, seed=1):
    rng = np.random.default_rng(seed)
    ends = np.array([rng.choice(fabric.endpoints, 2, replace=False) for _ in range(count)])
    hashes = rng.integers(0, 2**64, count, np.uint64)
    return ends[:, 0].astype(np.int32), ends[:, 1].astype(np.int32), hashes


@pytest.mark.parametrize(
    "spec", ["leaf-spine:4x3x2@100G", "rail:4x2x2@100G", "fat-tree:4@100G", "dual-tor:2x2x2@100G"]
)
def test_paths_lead_from_source_to_destination_by_shortest_ways(spec):
    fabric = build(spec)
    routes = build_routes(fabric)
    source, destination, hashes = _random_pairs(fabric, 300)
    state = RouteState.initial(routes)
    paths = find_paths(routes, state, device_seeds(fabric, 1), source, destination, hashes)
    channels = fabric.channels
    for path, begin, end in zip(paths, source, destination, strict=True):
        used = path[path >= 0]
        assert 2 <= len(used) <= longest_path(routes)
        assert channels.source[used[0]] == begin
        assert channels.target[used[-1]] == end
        assert (channels.target[used[:-1]] == channels.source[used[1:]]).all()


def test_eight_flows_on_eight_links_load_the_worst_with_2_59():
    fabric = build("leaf-spine:2x8x8@100G")
    routes = build_routes(fabric)
    state = RouteState.initial(routes)
    hosts = fabric.endpoints
    worst = []
    for seed in range(2000):
        hashes = np.random.default_rng(seed).integers(0, 2**64, 8, np.uint64)
        paths = find_paths(
            routes, state, device_seeds(fabric, seed), hosts[:8], hosts[8:16], hashes
        )
        worst.append(np.bincount(paths[:, 1]).max())
    # Balls into bins: the mean maximum of 8 in 8 is 2.59; four standard errors are 0.06.
    assert np.mean(worst) == pytest.approx(2.59, abs=0.06)


def test_an_excluded_next_hop_moves_its_own_flows_only():
    fabric = build("leaf-spine:4x4x4@100G")
    routes = build_routes(fabric)
    state = RouteState.initial(routes)
    seeds = device_seeds(fabric, 1)
    source, destination, hashes = _random_pairs(fabric, 400)
    before = find_paths(routes, state, seeds, source, destination, hashes)
    channel = before[before[:, 2] >= 0][0, 1]
    state.withdrawn[channel] = 1
    after = find_paths(routes, state, seeds, source, destination, hashes)
    moved = (before != after).any(axis=1)
    assert (moved == (before == channel).any(axis=1)).all()
    assert moved.any()
    assert not (after == channel).any()


def test_polarised_switches_use_a_part_of_the_second_tier():
    fabric = build("fat-tree:8@100G")
    routes = build_routes(fabric)
    state = RouteState.initial(routes)
    source, destination, hashes = _random_pairs(fabric, 3000)

    def used(polarised):
        seeds = device_seeds(fabric, 5, polarised)
        paths = find_paths(routes, state, seeds, source, destination, hashes)
        return len(np.unique(paths[paths[:, 4] >= 0][:, 2]))

    assert used(polarised=True) <= used(polarised=False) / 2


def test_pinned_pairs_of_a_permutation_share_no_uplink():
    fabric = build("leaf-spine:4x4x4@100G")
    routes = build_routes(fabric)
    transfers, _ = build_transfers(fabric, parse_workload("allreduce:ring:1MiB:order=rail"))
    source, destination = pair_ends(transfers)
    balancing = parse_balancing("pinned")
    hashes = assign_hashes(fabric, routes, balancing, source, destination)
    state = RouteState.initial(routes)
    paths = find_paths(routes, state, balancing.seeds(fabric), source, destination, hashes)
    assert np.bincount(paths[paths >= 0]).max() == 1


def test_the_same_seed_gives_the_same_hashes():
    fabric = build("leaf-spine:2x2x2@100G")
    routes = build_routes(fabric)
    ends = fabric.endpoints[:2], fabric.endpoints[2:]
    one, two, other = (
        assign_hashes(fabric, routes, parse_balancing(f"ecmp:seed={seed}"), *ends)
        for seed in (3, 3, 4)
    )
    assert (one == two).all()
    assert (one != other).all()


@pytest.mark.parametrize("spec", [*KINDS, "qp-scaling:8", "flowlet:20us", "ecmp:polarised"])
def test_known_balancing_is_read(spec):
    assert parse_balancing(spec).kind == spec.split(":")[0]


@pytest.mark.parametrize("spec", ["", "hash", "qp-scaling:0", "flowlet:soon", "spray:4"])
def test_unknown_balancing_is_one_sentence(spec):
    with pytest.raises(FabricError) as error:
        parse_balancing(spec)
    assert "\n" not in str(error.value)
