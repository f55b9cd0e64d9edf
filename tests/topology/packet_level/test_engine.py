"""Truths that can be written down: times of single packets, queues, losses and time-outs."""

import dataclasses

import numpy as np
import pytest

from fabricscope.topology.failures import ChannelEvent, Failure
from fabricscope.topology.packet_level.engine import run_packets
from fabricscope.topology.packet_level.parameters import Dcqcn, Nic, SwitchModel
from fabricscope.topology.recovery.plan import ALL_GROUPS, Moments, Plan, RouteChange
from fabricscope.topology.routing.balancing import Balancing, assign_hashes
from fabricscope.topology.routing.routes import RouteState, build_routes, find_paths

PLAIN = Nic(header_bytes=0, first_header_bytes=0, ack_bytes=64, cnp_bytes=64, dcqcn=None)
"""4,096 B packets on the wire and 64 B ACKs, as the figures of other simulators were made."""

PS_PER_BYTE = 80
HOP_PS = 1_000_000


def run(fabric, workload, **more):
    routes = build_routes(fabric)
    more.setdefault("nic", PLAIN)
    return run_packets(fabric, routes, Balancing(), workload, **more)


@pytest.mark.parametrize("size", [1, 64, 4095, 4096, 4097, 12_288, 100_001])
@pytest.mark.parametrize("far", [True, False])
def test_a_lone_transfer_takes_serialisation_and_propagation(leaf_spine, transfers, size, far):
    fabric = leaf_spine(2, 2, 2)
    source, near, other = fabric.endpoints[0], fabric.endpoints[1], fabric.endpoints[3]
    result = run(fabric, transfers([source], [other if far else near], size))
    hops = 4 if far else 2
    packets = -(-size // 4096)
    last = size - (packets - 1) * 4096
    # Each device forwards whole packets: a short last one waits behind the full one before it.
    leaves = [min(4096, size) * PS_PER_BYTE * (n + 1) for n in range(packets)]
    leaves[-1] = size * PS_PER_BYTE
    for _ in range(hops - 1):
        free = 0
        for n in range(packets):
            took = (last if n == packets - 1 else 4096) * PS_PER_BYTE
            free = max(free, leaves[n]) + took
            leaves[n] = free
    arrival = leaves[-1] + hops * HOP_PS
    assert result.finish_ns[0] == arrival / 1000
    assert result.acknowledged_ns[0] == (arrival + hops * (64 * PS_PER_BYTE + HOP_PS)) / 1000
    assert result.data_packets == result.packets_sent == packets
    assert result.stalled == ()


def test_one_flow_takes_as_long_as_in_htsim(leaf_spine, transfers):
    fabric = leaf_spine(4, 2, 4)
    workload = transfers([fabric.endpoints[0]], [fabric.endpoints[15]], 2_000_000)
    result = run(fabric, workload)
    assert 171_500 * 0.98 < result.acknowledged_ns[0] < 172_700 * 1.02


@pytest.mark.parametrize("buffer_bytes", [64 << 20, 2_000_000])
def test_incast_takes_as_long_as_in_htsim(leaf_spine, transfers, buffer_bytes):
    fabric = leaf_spine(4, 2, 8)
    workload = transfers(fabric.endpoints[:8], [fabric.endpoints[31]] * 8, 2_000_000)
    result = run(fabric, workload, switch=SwitchModel(buffer_bytes=buffer_bytes))
    assert 1_310_900 * 0.98 < result.acknowledged_ns.max() < 1_329_300 * 1.02
    assert result.packets_lost == 0
    assert (result.pauses > 0) == (buffer_bytes == 2_000_000)


def test_control_as_delivered_spares_the_bottleneck(leaf_spine, transfers):
    """With the defaults an incast fills its queue less, and its link all the same."""
    fabric = leaf_spine(4, 2, 8)
    workload = transfers(fabric.endpoints[:8], [fabric.endpoints[31]] * 8, 2_000_000)
    plain = run(fabric, workload)
    controlled = run(fabric, workload, nic=dataclasses.replace(PLAIN, dcqcn=Dcqcn()))
    assert controlled.makespan_ns == pytest.approx(plain.makespan_ns, rel=0.02)
    assert 0 < controlled.marked < plain.marked


@pytest.mark.parametrize("period_ns", [20_000.0, 100_000.0])
def test_a_rate_that_rises_shortens_the_wait_for_the_next_packet(leaf_spine, transfers, period_ns):
    """At the lowest rate a packet would wait for 33 ms; the timer raises the rate long before."""
    fabric = leaf_spine(4, 2, 8)
    control = Dcqcn(gain=1.0, raise_period_ns=period_ns, raise_bytes=1 << 40)
    workload = transfers(fabric.endpoints[:8], [fabric.endpoints[31]] * 8, 500_000)
    result = run(fabric, workload, nic=dataclasses.replace(PLAIN, dcqcn=control))
    assert (result.queue_pairs["cnps"] > 20).any()
    assert result.makespan_ns < 2e6


def test_an_empty_message_is_one_packet_and_a_join_is_none(leaf_spine, transfers):
    fabric = leaf_spine(2, 1, 1)
    one, two = fabric.endpoints
    workload = transfers(
        [one, one, two], [two, one, one], [0, 0, 10], after=[(0, 1), (1, 2)], delay_ns=[0, 7.0, 0]
    )
    result = run(fabric, workload, nic=Nic(dcqcn=None))
    assert result.data_packets == 2
    assert result.finish_ns[1] == result.finish_ns[0] + 7.0
    assert result.finish_ns[2] > result.finish_ns[1]


def cut(channels, down_ns, up_ns=None):
    events = [ChannelEvent(down_ns, channel, 0.0) for channel in channels]
    if up_ns is not None:
        events += [ChannelEvent(up_ns, channel, 1.0) for channel in channels]
    return Failure("cut", "link", down_ns, tuple(events), ())


def test_a_lost_tail_waits_for_the_time_out_and_a_loss_inside_does_not(leaf_spine, transfers):
    fabric = leaf_spine(2, 1, 1)
    one, two = fabric.endpoints
    workload = transfers([one], [two], 1_000_000)
    plain = run(fabric, workload)
    channel = 2 * fabric.find_link("leaf0-spine0")
    inside = run(fabric, workload, failures=[cut([channel], 20_000.0, 21_000.0)])
    assert inside.packets_lost > 0
    assert inside.qps_rtt == 1
    assert inside.qps_timeout == 0
    # A round trip is 8.4 us, and go-back-N sends again what was under way.
    assert 5_000 < inside.finish_ns[0] - plain.finish_ns[0] < 20_000
    tail = run(fabric, workload, failures=[cut([channel], 81_000.0, 90_000.0)])
    assert tail.qps_rtt == 0
    assert tail.qps_timeout == 1
    assert tail.finish_ns[0] - plain.finish_ns[0] == pytest.approx(4.2949673e9, rel=1e-4)


def test_a_queue_pair_gives_up_after_its_retries(leaf_spine, transfers):
    fabric = leaf_spine(2, 1, 1)
    one, two = fabric.endpoints
    channel = 2 * fabric.find_link("leaf0-spine0")
    workload = transfers([one, two], [two, one], 5_000, after=[(0, 1)])
    nic = Nic(timeout=4, retry_count=3, dcqcn=None)
    result = run(fabric, workload, nic=nic, failures=[cut([channel], 0.0)])
    assert result.queue_pairs["timeouts"][0] == 4
    assert np.isnan(result.finish_ns).all()
    assert [part.transfers for part in result.stalled] == [1, 1]
    assert "3 retries" in result.stalled[0].reason
    assert result.lost["sent_into_dead"] == result.packets_sent == 8


def test_each_time_out_doubles_with_the_exponent_and_with_backoff(leaf_spine, transfers):
    fabric = leaf_spine(2, 1, 1)
    one, two = fabric.endpoints
    channel = 2 * fabric.find_link("leaf0-spine0")
    workload = transfers([one], [two], 1_000)
    plain = run(fabric, workload).finish_ns[0]
    for timeout in (8, 9, 10):
        first = 4096.0 * 2**timeout
        failure = cut([channel], 0.0, 2.5 * first)
        steady = run(fabric, workload, nic=_with(timeout, 1.0), failures=[failure])
        doubled = run(fabric, workload, nic=_with(timeout, 2.0), failures=[failure])
        assert steady.finish_ns[0] == plain + 3 * first
        assert doubled.finish_ns[0] == plain + 3 * first
        assert doubled.queue_pairs["timeouts"][0] == 2
        assert steady.queue_pairs["timeouts"][0] == 3


def _with(timeout, backoff):
    return Nic(
        header_bytes=0, first_header_bytes=0, ack_bytes=64, dcqcn=None, timeout=timeout,
        backoff=backoff,
    )  # fmt: skip


def test_lost_packets_are_rate_times_outage(leaf_spine, transfers):
    fabric = leaf_spine(2, 1, 1)
    one, two = fabric.endpoints
    channel = 2 * fabric.find_link("leaf0-spine0")
    nic = Nic(dcqcn=None, first_header_bytes=0, window_bytes=1 << 30, timeout=14)
    workload = transfers([one], [two], 20_000_000)
    result = run(fabric, workload, nic=nic, failures=[cut([channel], 100_000.0, 200_000.0)])
    # 100 us at 4,178 B a packet and 100 Gb/s, and the microsecond of packets on the wire.
    assert result.packets_lost == pytest.approx(101_000 / 334.24, abs=2)
    assert result.loss_duration_ns == pytest.approx(101_000, abs=700)


def test_routes_that_change_move_the_flow(leaf_spine, transfers):
    fabric = leaf_spine(2, 2, 1)
    routes = build_routes(fabric)
    one, two = fabric.endpoints
    workload = transfers([one], [two], 1_000_000)
    balancing = Balancing()
    ends = np.array([one], np.int32), np.array([two], np.int32)
    before = RouteState.initial(routes)
    hashes = assign_hashes(fabric, routes, balancing, *ends)
    channel = int(find_paths(routes, before, balancing.seeds(fabric), *ends, hashes)[0, 1])
    change = RouteChange(30_000.0, 0, channel, ALL_GROUPS, False, "local", Moments())
    failure = cut([channel], 20_000.0)
    result = run_packets(
        fabric, routes, balancing, workload, [failure], Plan((change,)), PLAIN, options=None
    )
    other = int(routes.channels[routes.channels != channel][0])
    assert result.qps_rtt == 1
    assert result.loss_duration_ns == pytest.approx(11_000, abs=700)
    # What was still in the queue and on the wire is counted when it comes out.
    assert result.channel_bytes[2, channel] <= 5 * 4096
    assert result.channel_bytes[:, other].sum() > 500_000
    assert result.data_packets == 245


def test_a_slow_link_sends_what_waits_more_slowly(leaf_spine, transfers):
    fabric = leaf_spine(2, 1, 1)
    one, two = fabric.endpoints
    channel = 2 * fabric.find_link("leaf0-spine0")
    workload = transfers([one], [two], 40_960)
    slow = Failure("slow", "degrade", 0.0, (ChannelEvent(0.0, channel, 0.5),), ())
    result = run(fabric, workload, failures=[slow])
    full, half = 4096 * PS_PER_BYTE, 8192 * PS_PER_BYTE
    assert result.finish_ns[0] == (full + 10 * half + 2 * full + 4 * HOP_PS) / 1000


def test_corruption_loses_its_share(leaf_spine, transfers):
    fabric = leaf_spine(2, 1, 1)
    one, two = fabric.endpoints
    channel = 2 * fabric.find_link("leaf0-spine0")
    event = ChannelEvent(0.0, channel, 1.0, 0.01)
    failure = Failure("decay", "decay", 0.0, (event,), ())
    nic = Nic(dcqcn=None, timeout=4)
    result = run(fabric, transfers([one], [two], 50_000_000), nic=nic, failures=[failure])
    expected = result.packets_sent * 0.01
    assert abs(result.lost["corrupted"] - expected) < 4 * expected**0.5
    assert result.data_packets == -(-50_000_000 // 4096)
    assert result.packets_sent == result.data_packets + result.packets_lost + result.packets_refused
