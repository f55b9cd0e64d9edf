"""What a failure costs at flow level: lost packets, round trips, time-outs, shares of uplinks."""

import numpy as np
import pytest

from fabricscope.topology.builders import build
from fabricscope.topology.flow_level import ring_engine
from fabricscope.topology.flow_level.engine import FlowOptions, run_flows
from fabricscope.topology.flow_level.outages import kernels as outages
from fabricscope.topology.flow_level.ring_engine import run_rings
from fabricscope.topology.outcome import AFTER, BEFORE
from fabricscope.topology.recovery.plan import Plan
from fabricscope.topology.routing.balancing import parse_balancing
from fabricscope.topology.routing.routes import build_routes
from fabricscope.topology.workloads.rings import build_rings
from fabricscope.topology.workloads.spec import build_transfers, parse_workload

RTO_NS = 4096.0 * 2**20


@pytest.fixture(scope="module")
def even():
    return build("leaf-spine:4x4x4@100G")


@pytest.fixture(scope="module")
def play(cut):
    """Return what runs a workload while leaf2-spine1 is cut, and gives the run without as well."""

    def run(fabric, spec, balancing, time_ns, local_ns, remote_ns, plans=None, **options):
        routes = build_routes(fabric)
        transfers, _ = build_transfers(fabric, parse_workload(spec))
        args = (fabric, routes, parse_balancing(balancing), transfers)
        failures, answers = cut(fabric, routes, "leaf2", "spine1", time_ns, local_ns, remote_ns)
        broken = run_flows(*args, failures, plans or answers, FlowOptions(**options))
        return broken, run_flows(*args)

    return run


def test_the_kernels_exist_for_what_the_engine_does():
    assert {"flush", "follow_paths", "release_paths"} <= set(dir(outages))


@pytest.mark.parametrize("outage_us", [50, 100, 200])
def test_lost_packets_are_rate_times_outage(even, play, outage_us):
    # Pinned, each uplink carries one full flow: both directions of the cut link do.
    spec = "allreduce:ring:256MiB:order=rail:jobs=4"
    outage_ns = outage_us * 1000.0
    broken, _ = play(even, spec, "pinned", 1e6, outage_ns, outage_ns)
    expected = 2 * outage_ns * 100 / 8 / 4178
    assert broken.flows_affected == 2
    assert broken.packets_lost == pytest.approx(expected, rel=0.05)
    assert broken.loss_duration_ns == pytest.approx(outage_ns, rel=0.05)


def test_a_loss_in_mid_message_costs_a_round_trip(even, play):
    broken, whole = play(even, "permutation:64MiB", "pinned", 1e6, 5e4, 5e4)
    assert (broken.qps_rtt, broken.qps_timeout) == (broken.flows_affected, 0)
    assert broken.flows_affected > 0
    # The outage, a round trip, and a share of an uplink that now carries two.
    late_ns = broken.finish_ns - whole.finish_ns
    assert late_ns.max() < whole.makespan_ns + 2e5


def test_a_lost_tail_costs_its_queue_pair_a_time_out(even, play):
    whole = play(even, "permutation:2MiB", "pinned", 9e9, 1e5, 1e5)[1]
    # The last byte leaves a few hundred nanoseconds before it would cross the dead link.
    sent_ns = 2**21 * 8 / (100 * 4096 / 4178)
    broken, _ = play(even, "permutation:2MiB", "pinned", sent_ns - 300.0, 1e4, 1e4)
    assert broken.qps_timeout == broken.flows_affected > 0
    assert broken.makespan_ns == pytest.approx(whole.makespan_ns + RTO_NS, rel=1e-3)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sprayed_tails_are_lost_in_the_share_of_the_dead_path(even, play, seed):
    """All messages end while one of four uplinks is a black hole: a quarter loses what is last."""
    broken, whole = play(even, "alltoall:16MiB", "spray", 1e4, 5e9, 5e9, seed=seed)
    assert whole.qps_timeout == 0
    # 12 senders elsewhere to 4 hosts behind leaf2, and back.
    crossing = 2 * 12 * 4
    assert broken.flows_affected == crossing
    # What is sent again after a time-out is lost again in a quarter of the cases.
    spread = np.sqrt(crossing * 0.25 * 0.75)
    assert abs(broken.qps_timeout - crossing / 4) < 4 * spread
    rounds = (broken.makespan_ns - whole.makespan_ns) / RTO_NS
    assert 0.99 < rounds < 2.1


def test_a_seed_decides_which_tails_are_lost(even, play):
    runs = [play(even, "alltoall:16MiB", "spray", 1e4, 5e9, 5e9, seed=s)[0] for s in (5, 5, 6)]
    late = [set(np.flatnonzero(run.finish_ns > 1e9).tolist()) for run in runs]
    assert late[0] == late[1] != late[2]


@pytest.mark.parametrize(("doubling", "wait_ms"), [(False, 130), (True, 150)])
def test_a_silent_queue_pair_goes_on_at_the_first_time_out_after_the_outage(
    even, play, doubling, wait_ms
):
    broken, _ = play(
        even,
        "permutation:64MiB",
        "pinned",
        1e6,
        122e6,
        122e6,
        rto_ns=10e6,
        doubling=doubling,
        retry_count=-1,
    )
    # Every 10 ms: the 13th; doubling: after 10, 30, 70 and 150 ms.
    resumed_ms = (broken.makespan_ns - 1e6) / 1e6
    assert wait_ms < resumed_ms < wait_ms + 12


def test_a_queue_pair_gives_up_after_its_retries(even, play):
    broken, _ = play(even, "permutation:64MiB", "pinned", 1e6, 122e6, 122e6, rto_ns=10e6)
    assert np.isnan(broken.makespan_ns)
    assert broken.stalled[0].reason == "the queue pair gave up after its last retry"
    assert broken.stalled[0].transfers == broken.flows_affected


def test_without_an_answer_the_flows_of_the_link_never_end(even, play):
    broken, _ = play(even, "permutation:64MiB", "pinned", 1e6, None, None, retry_count=3)
    assert np.isnan(broken.finish_ns).sum() == broken.flows_affected > 0


def test_a_sender_that_changes_its_label_needs_no_answer(even, play):
    plans = (Plan((), relabel_ns=1e5),)
    broken, whole = play(even, "permutation:64MiB", "ecmp", 1e6, None, None, plans)
    assert broken.flows_affected > 0
    assert broken.qps_timeout == 0
    assert broken.makespan_ns < 2 * whole.makespan_ns + 1e6


def test_after_a_failure_the_leaf_has_its_surviving_uplinks(even, play):
    spec = "allreduce:ring:256MiB:order=rail:jobs=4"
    broken, whole = play(even, spec, "spray", 1e6, 1e4, 1e4)
    up = np.isin(even.channels.source, [even.find_device("leaf2")])
    up &= ~np.isin(even.channels.target, even.endpoints)
    rate = broken.channel_bytes[:, up].sum(axis=1) / np.diff(broken.window_ns)
    # 3 of 4 uplinks are left; latency between the steps is the rest.
    assert rate[AFTER] / rate[BEFORE] == pytest.approx(3 / 4, rel=0.01)
    assert (broken.channel_bytes[AFTER, up] > 0).sum() == 3
    slower = (broken.makespan_ns - 1e6) / (whole.makespan_ns - 1e6)
    assert slower == pytest.approx(4 / 3, rel=0.01)


def test_bytes_are_kept_through_failures(even, play):
    spec = "allreduce:ring:64MiB:order=rail:jobs=4"
    transfers, _ = build_transfers(even, parse_workload(spec))
    broken, _ = play(even, spec, "pinned", 3e5, 2e4, 5e4)
    wire = transfers.size_bytes.sum() * 4178 / 4096
    down = np.isin(even.channels.target, even.endpoints)
    carried = broken.channel_bytes[:, down].sum()
    # What was on its way to the dead link was sent, and is sent again.
    assert wire <= carried <= wire + 2 * broken.bytes_lost
    assert not np.isnan(broken.finish_ns).any()


def test_convergence_is_not_stall(cut):
    """NIC time-out against recovery scheme: the shape of the published comparison."""
    fabric = build("leaf-spine:32x16x16@100G")
    routes = build_routes(fabric)
    transfers, _ = build_transfers(fabric, parse_workload("allreduce:ring:32MB:order=rail:jobs=16"))
    args = (fabric, routes, parse_balancing("ecmp:seed=3"), transfers)
    base_ms = run_flows(*args).makespan_ns / 1e6
    table = {}
    for rto_ms in (1.0, 16.8, 67.1, 1074.0):
        for name, local_ns, remote_ns in (
            ("dpfr", 0.7e6, 1.2e6),
            ("bgp", 0.7e6, 122e6),
        ):
            failures, plans = cut(fabric, routes, "leaf5", "spine3", 2e6, local_ns, remote_ns)
            options = FlowOptions(rto_ns=rto_ms * 1e6, window_bytes=131072, retry_count=-1)
            outcome = run_flows(*args, failures, plans, options)
            table[name, rto_ms] = outcome.makespan_ns / 1e6 - base_ms
    # A short time-out lets the scheme decide; a long one makes all schemes cost the time-out.
    assert table["dpfr", 1.0] < 1.0
    assert 90 < table["bgp", 1.0] < 125
    assert table["dpfr", 67.1] > 40
    for name in ("dpfr", "bgp"):
        assert table[name, 1074.0] == pytest.approx(1074, rel=0.05)
        assert table[name, 1.0] <= table[name, 67.1] + 1 <= table[name, 1074.0] + 2


@pytest.mark.parametrize("balancing", ["spray", "pinned"])
def test_rings_by_rule_lose_what_those_written_out_lose(even, cut, balancing):
    workload = parse_workload("allreduce:ring:16MiB:order=rail:jobs=4:iterations=30")
    routes = build_routes(even)
    failures, plans = cut(even, routes, "leaf2", "spine1", 2e6, 1e4, 3e4)
    args = (even, routes, parse_balancing(balancing))
    one = run_flows(*args, build_transfers(even, workload)[0], failures, plans)
    two = run_rings(*args, build_rings(even, workload), failures, plans)
    assert two.makespan_ns == pytest.approx(one.makespan_ns, rel=0.02)
    assert two.flows_affected == one.flows_affected
    if balancing == "pinned":
        assert two.packets_lost == pytest.approx(one.packets_lost, rel=0.2)
        assert (two.qps_rtt, two.qps_timeout) == (one.qps_rtt, one.qps_timeout)


def test_sprayed_rings_of_many_shares_follow_few_changes(even, cut, monkeypatch):
    workload = parse_workload("allreduce:ring:16MiB:order=rail:jobs=4:iterations=30")
    routes = build_routes(even)
    failures, plans = cut(even, routes, "leaf2", "spine1", 2e6, 1e4, 3e4)
    args = (even, routes, parse_balancing("spray"), build_rings(even, workload), failures, plans)
    exact = run_rings(*args)
    monkeypatch.setattr(ring_engine, "MANY_SHARES", 0)
    monkeypatch.setattr(ring_engine, "MOST_MOMENTS", 2)
    merged = run_rings(*args)
    assert merged.makespan_ns == pytest.approx(exact.makespan_ns, rel=1e-3)
    assert merged.packets_lost >= exact.packets_lost > 0
