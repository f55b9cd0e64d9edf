"""Given flows: each one's own path, before and after."""

import numpy as np
import pytest

from fabricscope.topology.convergence import find_convergence
from fabricscope.topology.flow_convergence import Flows, apply_change, find_flow_recovery
from fabricscope.topology.recovery.plan import ALL_GROUPS, Moments, Plan, RouteChange
from fabricscope.topology.recovery.registry import make_scheme
from fabricscope.topology.recovery.row_routes import RowRoutes
from fabricscope.topology.routing.routes import RouteState, device_seeds, find_paths


def _flows(situation, count=400, seed=1):
    rng = np.random.default_rng(seed)
    hosts = situation.fabric.endpoints
    pairs = np.array([rng.choice(hosts, 2, replace=False) for _ in range(count)], np.int32)
    return Flows(
        np.ascontiguousarray(pairs[:, 0]),
        np.ascontiguousarray(pairs[:, 1]),
        rng.integers(0, 2**64, count, np.uint64),
    )


@pytest.mark.parametrize("scheme", ["dpfr", "bgp", "ospf", "dpfr-sampled"])
@pytest.mark.parametrize("spec", ["leaf1-spine1@1ms", "spine0@1ms", "leaf1-spine1@1ms..3s"])
def test_the_last_of_many_flows_is_the_last_destination(situate, scheme, spec):
    situation = situate("leaf-spine:4x3x2@100G", spec)
    plan = make_scheme(scheme).plan(situation, np.random.default_rng(1))
    seeds = device_seeds(situation.fabric, 1)
    found = find_flow_recovery(situation, plan, _flows(situation), seeds)
    broken = ~np.isnan(found.broken_ns)
    assert 0 < broken.sum() < len(broken)
    assert found.convergence_ns <= find_convergence(situation, plan).convergence_ns + 1e-3
    waited = found.working_ns[broken] - found.broken_ns[broken]
    assert (found.outage_ns[broken] <= waited + 1e-3).all()


def test_affected_flows_are_those_whose_path_is_dead(situate):
    situation = situate("leaf-spine:4x3x2@100G", "leaf1-spine1@1ms")
    flows, seeds = _flows(situation), device_seeds(situation.fabric, 1)
    state = RouteState.initial(situation.routes)
    paths = find_paths(situation.routes, state, seeds, *flows)
    dead = {event.channel for event in situation.failure.events}
    hit = np.array([bool(dead & set(path.tolist())) for path in paths])
    found = find_flow_recovery(situation, Plan(()), flows, seeds)
    assert (~np.isnan(found.broken_ns) == hit).all()
    assert (found.broken_ns[hit] == 0).all()
    assert np.isinf(found.working_ns[hit]).all()
    assert found.convergence_ns is None


def test_relabelled_flows_try_until_they_find_a_path(situate):
    situation = situate("leaf-spine:4x2x2@100G", "leaf1-spine1@1ms")
    flows, seeds = _flows(situation, 2000), device_seeds(situation.fabric, 1)
    found = find_flow_recovery(situation, Plan((), relabel_ns=1e5), flows, seeds)
    broken = ~np.isnan(found.broken_ns)
    tries = found.outage_ns[broken] / 1e5
    assert np.allclose(tries, np.round(tries))
    assert np.isfinite(found.working_ns[broken]).all()
    assert tries.mean() == pytest.approx(2.0, rel=0.15)  # half of the paths work


def test_changes_are_written_into_the_state(situate):
    situation = situate("leaf-spine:3x2x1@100G", "leaf0-spine0@1ms")
    routes = situation.routes
    source = situation.fabric.channels.source
    state = RouteState.initial(routes)
    channel = int(routes.channels[0])
    device = int(source[channel])
    for group, use in ((ALL_GROUPS, False), (ALL_GROUPS, True)):
        change = RouteChange(0.0, device, channel, group, use, "local", Moments())
        apply_change(routes, state, source, change)
        assert state.withdrawn[channel] == (not use)
    used = RowRoutes(routes, device)
    group = int(used.used_for(channel)[0])
    change = RouteChange(0.0, device, channel, group, False, "remote", Moments())
    apply_change(routes, state, source, change)
    (place,) = np.flatnonzero(state.excluded)
    assert routes.channels[place] == channel
    entry = int(routes.row[device]) * routes.distance.shape[0] + group
    assert routes.start[entry] <= place < routes.start[entry + 1]
