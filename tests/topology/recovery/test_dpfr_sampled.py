"""The published mode on the level of plans: sampling, ageing, second failures, full tables."""

import math

import numpy as np
import pytest

from fabricscope.topology.convergence import find_convergence
from fabricscope.topology.recovery.dpfr_sampled import MAX_ROUNDS, draw_first_sample
from fabricscope.topology.recovery.plan import ALL_GROUPS, Situation, Traffic
from fabricscope.topology.recovery.registry import make_scheme

FULL_100G = 100 / (8 * 4178)
"""Packets/ns of a link full of RoCE v2 packets with 4,096 B of payload."""


def _plan(situation, seed=1, **settings):
    scheme = make_scheme("dpfr-sampled", "asic", {"fallback": "none", **settings})
    return scheme.plan(situation, np.random.default_rng(seed))


def _loaded(situation, loads):
    """Give each channel's groups the packet rates in `loads`: {channel: {group: packets/ns}}."""
    groups = situation.routes.distance.shape[0]
    rates = np.zeros((len(loads), groups))
    for place, by_group in enumerate(loads.values()):
        for group, rate in by_group.items():
            rates[place, group] = rate
    traffic = Traffic(np.array(list(loads), np.int32), rates)
    return Situation(situation.fabric, situation.routes, situation.failure, traffic)


def _channel(situation, source, target):
    fabric = situation.fabric
    channel = 2 * fabric.find_link(f"{source}-{target}")
    return channel + int(fabric.channels.source[channel] != fabric.find_device(source))


def _group(situation, host):
    return int(situation.routes.group[situation.fabric.find_device(host)])


@pytest.mark.parametrize(("share", "expected_us"), [(1.0, 342), (0.1, 3423)])
def test_the_first_sample_comes_after_n_packets_on_average(share, expected_us):
    rng = np.random.default_rng(1)
    draws = [draw_first_sample(share * FULL_100G, 1024, rng) for _ in range(20_000)]
    assert np.mean(draws) / 1e3 == pytest.approx(expected_us, rel=0.03)
    assert np.std(draws) == pytest.approx(np.mean(draws), rel=0.05)
    assert min(draws) >= 0


def test_nothing_is_sampled_where_nothing_runs():
    assert draw_first_sample(0.0, 1024, np.random.default_rng(1)) == math.inf


@pytest.mark.parametrize(("share", "expected_us"), [(1.0, 342), (0.1, 3423)])
def test_the_whole_plan_waits_for_the_sample(situate, share, expected_us):
    empty = situate("leaf-spine:2x2x1@100G", "leaf0>spine0@1ms")
    uplink = _channel(empty, "leaf0", "spine0")
    situation = _loaded(empty, {uplink: {_group(empty, "host1"): share * FULL_100G}})
    waits = []
    for seed in range(1_000):
        change = _plan(situation, seed).changes[0]
        waits.append(change.moments.sample_ns)
        assert change.moments.total_ns == pytest.approx(change.time_ns - 1e6, abs=1e-3)
    assert np.mean(waits) / 1e3 == pytest.approx(expected_us, rel=0.1)


def test_a_spine_advertises_to_the_leaf_that_the_sample_came_from(situate):
    situation = situate("leaf-spine:3x2x1@100G", "spine0>leaf0@1ms")
    first, second = _plan(situation, ageing="600s").changes[:2]
    names = {situation.fabric.devices[change.device].name for change in (first, second)}
    assert names == {"leaf1", "leaf2"}
    assert first.role == second.role == "remote"
    assert first.moments.hops == 1
    assert first.moments.notify_ns > 0
    assert first.group == _group(situation, "host0")


def test_an_entry_ages_and_is_written_anew(situate):
    situation = situate("leaf-spine:2x2x1@100G", "leaf0>spine0@1ms")
    plan = _plan(situation, ageing="5s")
    uses = [change.use for change in plan.changes]
    assert uses == [False, True] * MAX_ROUNDS
    entered = [change.time_ns for change in plan.changes if not change.use]
    aged = [change.time_ns for change in plan.changes if change.use]
    for number in range(MAX_ROUNDS - 1):
        assert aged[number] - entered[number] == pytest.approx(5e9, abs=1e4)
        assert entered[number + 1] > aged[number]
    assert any("aged" in note for note in plan.notes)
    assert find_convergence(situation, plan).convergence_ns is None


def test_ageing_outlives_a_repair(situate):
    situation = situate("leaf-spine:2x2x1@100G", "leaf0>spine0@1ms..1s")
    plan = _plan(situation, ageing="5s")
    assert [change.use for change in plan.changes] == [False, True]
    assert plan.changes[1].time_ns > 5e9
    assert find_convergence(situation, plan).convergence_ns < 1e8


def test_converged_routing_ends_the_sampling(situate):
    situation = situate("leaf-spine:2x2x1@100G", "leaf0>spine0@1ms")
    plan = _plan(situation, fallback="bgp")
    assert plan.beneath
    found = find_convergence(situation, plan)
    assert found.convergence_ns == pytest.approx(plan.changes[0].time_ns - 1e6)
    entries = [c.use for c in plan.changes if c.role == "local" and c.group != ALL_GROUPS]
    assert entries == [False, True]  # routing has left the port when the entry ages


def test_a_second_failure_is_not_switched_over(situate):
    situation = situate("leaf-spine:2x3x1@100G", "leaf0>spine0@1ms", "leaf0>spine1@500ms")
    plan = _plan(situation, ageing="5s")
    first, second = (_channel(situation, "leaf0", f"spine{n}") for n in range(2))
    entered = [(c.channel, c.time_ns) for c in plan.changes if not c.use]
    assert entered[0][0] == first
    assert all(time_ns > 5e9 for channel, time_ns in entered if channel == second)
    assert any("one switch-over only" in note for note in plan.notes)
    assert find_convergence(situation, plan).convergence_ns is None


def test_a_full_table_takes_no_more_entries(situate):
    situation = situate("leaf-spine:6x2x1@100G", "leaf0>spine0@1ms")
    plan = _plan(situation, table_size=3)
    before_ageing = [c for c in plan.changes if not c.use and c.time_ns < 5e9]
    assert len(before_ageing) == 3
    assert len({change.group for change in before_ageing}) == 3
    assert any("resource-fail" in note and "leaf0" in note for note in plan.notes)


def test_who_takes_no_part_relays_nothing(situate):
    situation = situate("leaf-spine:3x2x1@100G", "spine0>leaf0@1ms")
    plan = _plan(situation, devices="leaf*")
    assert plan.changes == ()
    assert any("spine0" in note for note in plan.notes)
    partly = _plan(situation, devices="spine*,leaf1", ageing="600s")
    names = {situation.fabric.devices[change.device].name for change in partly.changes}
    assert names == {"leaf1"}


def test_excluded_links_are_left_alone(situate):
    situation = situate("leaf-spine:3x2x1@100G", "leaf0-spine0@1ms")
    plan = _plan(situation, exclude="*-spine0,spine0-*")
    assert plan.changes == ()
    assert any("excluded" in note for note in plan.notes)


@pytest.mark.parametrize(
    ("local", "remote", "roles"), [(True, False, {"local"}), (False, True, {"remote"})]
)
def test_either_half_can_be_left_out(situate, local, remote, roles):
    situation = situate("leaf-spine:3x2x1@100G", "leaf0-spine0@1ms")
    plan = _plan(situation, local=local, remote=remote)
    assert {change.role for change in plan.changes} == roles


def test_advertisements_are_relayed_over_three_tiers(situate):
    situation = situate("clos:2x1x1x1x1@100G", "leaf0-spine0@1ms")
    assert _plan(situation).changes == ()  # a chain of single links: nobody has another path
    wide = situate("clos:2x2x2x4x1@100G", "spine0>leaf0@1ms")
    hops = {c.moments.hops for c in _plan(wide, ageing="600s").changes if not c.use}
    assert hops == {1, 2}  # leaves of the pod, and spines of the other pod over the cores


def test_the_same_seed_gives_the_same_plan(situate):
    situation = situate("leaf-spine:3x2x1@100G", "leaf0-spine0@1ms")
    assert _plan(situation, 5).changes == _plan(situation, 5).changes
    assert _plan(situation, 5).changes != _plan(situation, 6).changes


def test_destinations_without_packets_do_not_wait(situate):
    empty = situate("leaf-spine:4x2x1@100G", "leaf0>spine0@1ms")
    uplink = _channel(empty, "leaf0", "spine0")
    situation = _loaded(empty, {uplink: {_group(empty, "host2"): FULL_100G}})
    plan = _plan(situation, fallback="bgp")
    sampled = {change.group for change in plan.changes if change.time_ns < 10e6}
    assert sampled == {_group(empty, "host2")}
    found = find_convergence(situation, plan)
    assert found.convergence_ns < 10e6
    assert found.affected == 1
