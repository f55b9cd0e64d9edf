"""Convergence against the slow twin, and on cases that can be worked out by hand."""

import math

import numpy as np
import pytest

from fabricscope.topology.convergence import find_convergence
from fabricscope.topology.recovery.plan import ALL_GROUPS, Moments, Plan, RouteChange
from fabricscope.topology.recovery.registry import SCHEMES, make_scheme
from reference.topology_convergence import converge


def _change(time_ns, device, channel, group, use):
    return RouteChange(time_ns, device, channel, group, use, "local", Moments())


@pytest.mark.parametrize("seed", range(40))
def test_random_plans_agree_with_the_twin(situate, seed):
    rng = np.random.default_rng(seed)
    fabric = ("leaf-spine:3x2x1@100G", "clos:2x2x2x4x1@100G")[seed % 2]
    links = (
        [f"leaf{rng.integers(3)}-spine{rng.integers(2)}" for _ in range(2)]
        if seed % 2 == 0
        else [f"leaf{rng.integers(2)}-spine{rng.integers(2)}", f"spine1-core{rng.integers(2, 4)}"]
    )
    specs = [
        f"{links[0]}@1ms" + ("..5ms" if rng.random() < 0.5 else ""),
        f"{links[1].replace('-', '>')}@{rng.integers(1, 4)}ms",
    ]
    if rng.random() < 0.3:
        specs[0] = f"{links[0]}@1ms..4ms:flap=1ms/0.5"
    situation = situate(fabric, *specs)
    routes = situation.routes
    source = situation.fabric.channels.source
    channels = np.unique(routes.channels)
    hit = np.array(sorted({event.channel for event in situation.failure.events}))
    changes = []
    for number in range(int(rng.integers(0, 14))):
        channel = int(rng.choice(hit if number % 2 else channels))
        device = int(source[channel])
        group = ALL_GROUPS if rng.random() < 0.5 else int(rng.integers(routes.distance.shape[0]))
        changes.append(
            _change(float(rng.uniform(1e6, 7e6)), device, channel, group, rng.random() < 0.3)
        )
    plan = Plan(tuple(sorted(changes, key=lambda change: change.time_ns)))
    found = find_convergence(situation, plan)
    assert (found.convergence_ns, found.settled_ns) == converge(situation, plan)


@pytest.mark.parametrize("scheme", sorted(SCHEMES.keys() - {"prr", "reps"}))
@pytest.mark.parametrize(
    ("fabric", "spec"),
    [
        ("leaf-spine:4x3x2@100G", "leaf1-spine1@1ms"),
        ("leaf-spine:4x3x2@100G", "spine1>leaf1@1ms..3s"),
        ("leaf-spine:4x3x2@100G", "spine0@1ms:silent"),
        ("clos:2x2x2x4x1@100G", "leaf0-spine0@1ms"),
        ("clos:2x2x2x4x1@100G", "spine1@1ms..20ms"),
    ],
)
def test_schemes_agree_with_the_twin_and_moments_add_up(situate, scheme, fabric, spec):
    situation = situate(fabric, spec)
    plan = make_scheme(scheme).plan(situation, np.random.default_rng(3))
    found = find_convergence(situation, plan)
    assert (found.convergence_ns, found.settled_ns) == converge(situation, plan)
    if found.breakdown is not None:
        assert found.breakdown.total_ns == pytest.approx(found.convergence_ns, abs=1e-3)
    for switch in found.devices:
        assert switch.moments.total_ns == pytest.approx(switch.time_ns, abs=1e-3)
        assert switch.moments.detect_ns >= 0


def test_local_and_remote_are_told_apart(situate):
    situation = situate("leaf-spine:3x2x1@100G", "leaf0-spine0@1ms")
    fabric = situation.fabric
    leaf0, leaf1, leaf2 = (fabric.find_device(f"leaf{n}") for n in range(3))
    up = next(
        channel
        for channel in range(len(fabric.channels.source))
        if fabric.channels.source[channel] == leaf0
        and fabric.channels.target[channel] == fabric.find_device("spine0")
    )
    group = int(situation.routes.group[fabric.find_device("host0")])
    told = [
        (leaf, 2 * fabric.find_link(f"{fabric.devices[leaf].name}-spine0"), time_ns)
        for leaf, time_ns in ((leaf1, 3e6), (leaf2, 4e6))
    ]
    changes = [_change(1.5e6, leaf0, up, ALL_GROUPS, False)]
    for leaf, link_channel, time_ns in told:
        channel = link_channel + int(fabric.channels.source[link_channel] != leaf)
        changes.append(
            RouteChange(time_ns, leaf, channel, group, False, "remote", Moments(time_ns - 1e6))
        )
    found = find_convergence(situation, Plan(tuple(changes)))
    assert (found.convergence_ns, found.local_ns, found.remote_ns) == (3e6, 0.5e6, 3e6)
    assert found.last is not None
    assert (found.last.device, found.last.role) == (leaf2, "remote")
    assert (found.affected, found.stranded) == (4, 0)


def test_static_routes_converge_with_the_repair_only(situate):
    for spec, expected in (("leaf0-spine0@1ms", None), ("leaf0-spine0@1ms..5ms", 4e6)):
        situation = situate("leaf-spine:3x2x1@100G", spec)
        found = find_convergence(situation, Plan(()))
        assert found.convergence_ns == expected
        assert found.outage_ns == (math.inf if expected is None else expected)


def test_a_crashed_leaf_strands_its_hosts_and_nobody_waits(situate):
    found = find_convergence(situate("leaf-spine:3x2x1@100G", "leaf0@1ms"), Plan(()))
    assert found.convergence_ns == 0
    assert found.stranded == found.affected > 0


def test_a_dual_homed_host_converges_when_its_leaf_crashes(situate):
    situation = situate("dual-tor:2x2x2@100G", "leaf0@1ms")
    name = next(d.name for d in situation.fabric.devices if d.kind == "leaf")
    situation = situate("dual-tor:2x2x2@100G", f"{name}@1ms")
    assert find_convergence(situation, Plan(())).convergence_ns is None
    plan = make_scheme("dpfr").plan(situation, np.random.default_rng(1))
    found = find_convergence(situation, plan)
    assert found.convergence_ns is not None
    assert 0 < found.convergence_ns < 1e6


def test_senders_that_relabel_wait_for_their_timeout(situate):
    situation = situate("leaf-spine:3x2x1@100G", "leaf0>spine0@1ms")
    found = find_convergence(situation, Plan((), relabel_ns=1e5))
    assert found.convergence_ns == pytest.approx(2e5)  # half of the paths work: two tries
    assert found.breakdown == Moments(detect_ns=found.convergence_ns)


def test_what_the_reaction_cuts_off_is_collateral(situate):
    situation = situate("leaf-spine:3x2x1@100G", "leaf0>spine0@1ms")
    plan = make_scheme("bgp").plan(situation, np.random.default_rng(1))
    found = find_convergence(situation, plan)
    assert found.convergence_ns is not None
    assert found.convergence_ns < 1e8  # leaf0 moves; the spine's hold time does not count
    assert found.collateral_ns > 0  # the spine withdraws a direction that still worked


def test_failures_one_after_the_other_count_from_their_own_beginning(situate):
    situation = situate("leaf-spine:3x3x1@100G", "leaf0-spine0@1ms", "leaf1-spine1@900ms")
    plan = make_scheme("dpfr").plan(situation, np.random.default_rng(1))
    found = find_convergence(situation, plan)
    assert found.convergence_ns is not None
    assert found.settled_ns is not None
    assert 0 < found.convergence_ns < 1e6
    assert 899e6 < found.settled_ns < 900e6
    assert found.breakdown is not None
    assert found.breakdown.total_ns == pytest.approx(found.convergence_ns, abs=1e-3)
