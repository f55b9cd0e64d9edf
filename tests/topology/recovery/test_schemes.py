"""What each scheme does with one failure: who moves, when, and what it cannot do."""

import math

import numpy as np
import pytest

from fabricscope.topology.convergence import find_convergence
from fabricscope.topology.recovery import (
    bgp,
    dpfr,
    host_based,
    ip_frr,
    ospf,
    shield,
    static,
)
from fabricscope.topology.recovery.registry import make_scheme

FABRIC = "leaf-spine:4x2x1@400G"
REMOTE = "spine0>leaf0@1ms"


def _converge(situation, name, seed=1, profile="asic", **settings):
    scheme = make_scheme(name, profile, settings)
    plan = scheme.plan(situation, np.random.default_rng(seed))
    return find_convergence(situation, plan), plan


def test_each_name_is_its_class():
    classes = {
        "none": static.Static, "dpfr": dpfr.Dpfr, "bfd": bgp.Bgp, "ospf-bfd": ospf.Ospf,
        "ip-frr": ip_frr.IpFrr, "shield": shield.Shield, "prr": host_based.HostBased,
    }  # fmt: skip
    for name, kind in classes.items():
        assert isinstance(make_scheme(name), kind)


@pytest.mark.parametrize("spec", ["leaf0-spine0@1ms", "leaf0>spine0@1ms", REMOTE, "spine1@1ms"])
@pytest.mark.parametrize("seed", range(5))
def test_dpfr_converges_within_a_millisecond_locally_and_remotely(situate, spec, seed):
    found, _ = _converge(situate(FABRIC, spec), "dpfr", seed)
    assert 0 < found.convergence_ns < 1e6


def test_a_remote_failure_tells_schemes_apart(situate):
    situation = situate(FABRIC, REMOTE)
    median = {
        name: np.median([_converge(situation, name, seed)[0].convergence_ns for seed in range(40)])
        for name in ("dpfr", "reps", "prr", "shield", "ip-frr", "bgp", "ospf")
    }
    assert list(median) == sorted(median, key=median.__getitem__)
    assert median["dpfr"] < 2e4
    assert 2e6 < median["shield"] < 4.1e6
    assert median["ip-frr"] < 50e6
    assert 59e6 < median["bgp"] < 115e6
    assert median["ospf"] > 200e6


def test_half_of_dpfr_leaves_the_other_half_to_routing(situate):
    situation = situate(FABRIC, "leaf0-spine0@1ms")
    local, _ = _converge(situation, "dpfr-local")
    remote, _ = _converge(situation, "dpfr-remote")
    assert local.local_ns < 1e6 < 50e6 < local.remote_ns
    assert remote.remote_ns < 1e6 < 25e6 < remote.local_ns


def test_dpfr_without_the_spine_is_as_slow_as_routing(situate):
    situation = situate(FABRIC, REMOTE)
    found, _ = _converge(situation, "dpfr", devices="leaf*")
    assert found.convergence_ns > 50e6
    some, plan = _converge(situation, "dpfr", devices="spine*,leaf1")
    assert some.convergence_ns > 50e6
    fast = [c for c in plan.changes if c.time_ns < 2e6 and c.role == "remote"]
    assert {situation.fabric.devices[c.device].name for c in fast} == {"leaf1"}
    assert plan.data_plane is not None
    assert plan.data_plane.takes_part.sum() == 3


def test_dpfr_does_not_see_silent_failures_unless_heartbeats_do(situate):
    situation = situate(FABRIC, "leaf0-spine0@1ms:silent")
    blind, _ = _converge(situation, "dpfr", fallback="none")
    assert blind.convergence_ns is None
    found, _ = _converge(situation, "dpfr", fallback="none", heartbeat="1ms")
    assert 3e6 < found.convergence_ns < 4.1e6


def test_excluded_links_fall_back(situate):
    situation = situate(FABRIC, REMOTE)
    found, plan = _converge(situation, "dpfr", exclude="leaf0-spine0")
    assert found.convergence_ns > 50e6
    assert any("excluded" in note for note in plan.notes)


def test_routing_under_dpfr_is_kept_apart_for_the_packet_engine(situate):
    situation = situate(FABRIC, REMOTE)
    _, plan = _converge(situation, "dpfr")
    alone = make_scheme("bgp").plan(situation, np.random.default_rng(1))
    assert plan.beneath == alone.changes


def test_a_flapping_link_does_not_come_back_at_once(situate):
    situation = situate(FABRIC, "leaf0-spine0@1ms..1s:flap=100ms/0.5")
    found, plan = _converge(situation, "dpfr", fallback="none")
    assert found.outage_ns < 1e6  # used again only after the age of an entry
    assert max(c.time_ns for c in plan.changes) > 5e9
    eager, _ = _converge(situation, "dpfr", fallback="none", restore="0ms")
    assert eager.outage_ns > 5 * found.outage_ns


def test_hysteresis_of_the_port_keeps_it_down(situate):
    situation = situate(FABRIC, "leaf0-spine0@1ms..1s:flap=100ms/0.5:hold=500ms")
    _, plan = _converge(situation, "dpfr", fallback="none", restore="0ms")
    assert sum(not change.use for change in plan.changes) == 5  # once for each device


@pytest.mark.parametrize(
    ("name", "low_s", "high_s"),
    [("bgp", 6, 9.3), ("bgp-traditional", 120, 180.3), ("ospf", 30, 41), ("bfd", 0.2, 0.45)],
)
def test_silent_failures_wait_for_the_timer(situate, name, low_s, high_s):
    situation = situate(FABRIC, "leaf0-spine0@1ms:silent")
    for seed in range(10):
        found, _ = _converge(situation, name, seed)
        assert low_s < found.convergence_ns / 1e9 < high_s


def test_prefixes_cost_time_unless_next_hops_are_shared(situate):
    situation = situate(FABRIC, REMOTE)
    slow, fast, base = (
        _converge(situation, "bgp", **settings)[0].convergence_ns
        for settings in ({"prefixes": 10_000}, {"prefixes": 10_000, "install": "pic"}, {})
    )
    assert slow - base == pytest.approx(10_000 * 43e3)
    assert base - fast == pytest.approx(43e3)


def test_throttled_spf_slows_repeated_changes(situate):
    calm = situate(FABRIC, REMOTE)
    busy = situate(FABRIC, REMOTE, "spine0>leaf1@400ms")
    settings = {"spf_wait": "50ms", "spf_hold": "5s", "lsa_interval": "0s"}
    first, _ = _converge(calm, "ospf", **settings)
    both, _ = _converge(busy, "ospf", **settings)
    assert first.convergence_ns < 0.2e9
    assert both.convergence_ns > 5e9


def test_fast_timers_are_warned_of(situate):
    _, plan = _converge(situate(FABRIC, REMOTE), "bfd", bfd_interval="10ms")
    assert any("healthy sessions" in note for note in plan.notes)


def test_repair_paths_need_no_message_and_say_what_is_left_out(situate):
    situation = situate(FABRIC, REMOTE)
    found, plan = _converge(situation, "ip-frr", fallback="none")
    assert found.breakdown.notify_ns == 0
    assert found.breakdown.switch_ns > 0
    assert any("detour" in note for note in plan.notes)
    silent, _ = _converge(situate(FABRIC, f"{REMOTE}:silent"), "ip-frr", bfd=True)
    assert 20e6 < silent.convergence_ns < 75e6


def test_hosts_relabel_whatever_the_switches_do(situate):
    for spec in (REMOTE, f"{REMOTE}:silent"):
        found, plan = _converge(situate(FABRIC, spec), "reps", fallback="none")
        assert 50e3 <= plan.relabel_ns <= 100e3
        assert found.convergence_ns == pytest.approx(2 * plan.relabel_ns)


def test_static_routes_never_converge(situate):
    found, plan = _converge(situate(FABRIC, REMOTE), "none")
    assert found.convergence_ns is None
    assert found.remote_ns == math.inf
    assert plan.notes
