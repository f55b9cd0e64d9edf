"""The engine against a slow, obvious simulator, and against its own books after every event."""

import dataclasses

import numpy as np
import pytest

from fabricscope.topology.fabric import Device, Fabric, Link
from fabricscope.topology.failures import ChannelEvent, Failure
from fabricscope.topology.packet_level.engine import run_packets
from fabricscope.topology.packet_level.parameters import Dcqcn, Nic, PacketOptions, SwitchModel
from fabricscope.topology.recovery.plan import ALL_GROUPS, Moments, Plan, RouteChange
from fabricscope.topology.routing.balancing import Balancing
from fabricscope.topology.routing.routes import build_routes
from reference.topology_packets import Simulator

FAST_CONTROL = Dcqcn(
    alpha_period_ns=5_501.3, raise_period_ns=6_002.7, raise_bytes=30_000, fast_stages=2,
    cnp_interval_ns=4_003.1, additive_gbps=1.0, hyper_gbps=5.0, gain=1 / 256, keeps_target=False,
    least_gbps=0.1,
)  # fmt: skip
SLOW_CONTROL = dataclasses.replace(
    FAST_CONTROL, keeps_target=True, raise_period_ns=40_001.3, raise_bytes=16_000, fast_stages=1,
    gain=1 / 16, least_gbps=0.01,
)  # fmt: skip
"""Cuts so deep that a packet's wait outlasts the timer that raises the rate."""
SWITCHES = {
    "roomy": SwitchModel(buffer_bytes=2_000_000, headroom_bytes=20_000),
    "marking": SwitchModel(mark_from_bytes_per_gbps=100.0, mark_all_bytes_per_gbps=2_000.0),
    "pausing": SwitchModel(buffer_bytes=300_000, headroom_bytes=20_000, ecn=False),
    "dropping": SwitchModel(buffer_bytes=150_000, lossless=False, ecn=False),
    "all": SwitchModel(
        buffer_bytes=400_000, headroom_bytes=10_000, mark_from_bytes_per_gbps=100.0,
        mark_all_bytes_per_gbps=1_500.0, mark_most=0.5,
    ),
}  # fmt: skip


def make_case(rng, transfers):
    """Return a fabric whose lengths and rates leave no two events at the same picosecond."""
    devices = [Device(f"leaf{n}", "leaf", 1) for n in range(3)]
    devices += [Device(f"spine{n}", "spine", 2) for n in range(2)]
    links = []
    for leaf in range(3):
        for spine in (3, 4):
            links.append(Link(leaf, spine, 25.0 + rng.random(), 20 + 100 * rng.random()))
        for _ in range(3):
            links.append(Link(len(devices), leaf, 20.0 + 5 * rng.random(), 1 + 20 * rng.random()))
            devices.append(Device(f"host{len(devices)}", "host", 0))
    fabric = Fabric("random", tuple(devices), tuple(links))
    hosts = fabric.endpoints
    count = 14
    ends = np.array([rng.choice(hosts, 2, replace=False) for _ in range(count)])
    ends[:6, 1] = hosts[0]
    ends[:6, 0] = rng.choice(hosts[3:], 6)
    owner = np.concatenate((np.arange(count), rng.integers(0, count, 6)))
    ends = ends[owner]
    edges = [(int(rng.integers(0, n)), n) for n in range(8, len(owner)) if rng.random() < 0.5]
    sizes = rng.integers(1, 150_000, len(owner))
    delays = rng.random(len(owner)) * 20_000
    work = transfers(ends[:, 0], ends[:, 1], sizes, owner, edges, delays)
    return fabric, work


def make_uneven(rng, fabric):
    """Return what gives each direction a rate of its own.

    Else a packet that arrives right behind another comes when the port has just sent one as long.
    """
    count = len(fabric.channels.source)
    events = [ChannelEvent(0.0, n, 0.9 + 0.1 * rng.random()) for n in range(count)]
    return Failure("uneven", "degrade", 0.0, tuple(events), ())


def make_failures(rng, fabric):
    channel = 2 * int(rng.integers(0, 2))
    down = 10_000 + 20_000 * rng.random()
    up = down + 30_000 * rng.random()
    slow = int(rng.integers(0, len(fabric.channels.source)))
    events = [
        ChannelEvent(down, channel, 0.0),
        ChannelEvent(up, channel, 1.0),
        ChannelEvent(2 * down, slow, 1.0, 0.02),
    ]
    events.sort(key=lambda event: event.time_ns)
    change = RouteChange(down + 5_000.3, 0, channel, ALL_GROUPS, False, "local", Moments())
    return Failure("random", "link", down, tuple(events), ()), (change,)


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("seed", range(6))
def test_twin(transfers, name, seed):
    rng = np.random.default_rng((seed, len(name)))
    fabric, work = make_case(rng, transfers)
    failures, changes = [make_uneven(rng, fabric)], ()
    if seed % 2:
        failure, changes = make_failures(rng, fabric)
        failures.append(failure)
    nic = Nic(
        window_bytes=80_000 if seed % 3 else 1 << 20, ack_every=1 + seed, timeout=5,
        retry_count=20, backoff=2.0 if seed == 5 else 1.0,
        dcqcn={"marking": SLOW_CONTROL, "all": FAST_CONTROL}.get(name),
    )  # fmt: skip
    routes = build_routes(fabric)
    switch = SWITCHES[name]
    outcome = run_packets(
        fabric, routes, Balancing(), work, failures, Plan(changes), nic, switch, seed=seed
    )
    twin = Simulator(fabric, routes, Balancing(), work, failures, changes, nic, switch, seed)
    twin.run()
    if twin.tied:
        pytest.skip("a time-out falls on a NIC's turn to send; either order is right")
    for mine, theirs in (
        (outcome.finish_ns, twin.finished),
        (outcome.acknowledged_ns, twin.acknowledged),
    ):
        expected = [theirs.get(n, np.nan) / 1000 for n in range(len(work.source))]
        np.testing.assert_array_equal(mine, expected)
    assert outcome.packets_sent == twin.counts["sent"]
    assert outcome.data_packets == twin.counts["delivered"]
    assert outcome.packets_refused == twin.counts["refused"]
    assert outcome.packets_lost == twin.counts["lost"]
    assert outcome.marked == twin.counts["marked"]
    assert outcome.pauses == twin.counts["pauses"]
    for field in ("lost", "timeouts", "naks", "again", "cnps"):
        theirs = [pair.counts[field] for pair in twin.pairs]
        assert outcome.queue_pairs[field].tolist() == theirs, field


@pytest.mark.parametrize("name", SWITCHES)
def test_everything_is_accounted_for_at_every_event(transfers, name):
    rng = np.random.default_rng(len(name))
    fabric, work = make_case(rng, transfers)
    work = work._replace(size_bytes=work.size_bytes // 4)
    failure, changes = make_failures(rng, fabric)
    nic = Nic(timeout=5, retry_count=20, dcqcn=FAST_CONTROL)
    routes = build_routes(fabric)
    options = PacketOptions(check=True)
    arguments = (fabric, routes, Balancing(), work, [failure], Plan(changes), nic, SWITCHES[name])
    checked = run_packets(*arguments, options=options)
    plain = run_packets(*arguments, options=dataclasses.replace(options, check=False))
    np.testing.assert_array_equal(checked.finish_ns, plain.finish_ns)
    assert checked.events == plain.events
