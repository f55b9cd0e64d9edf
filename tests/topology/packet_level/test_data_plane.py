"""Recovery that the switches carry out themselves: port-driven and sampled, as documented."""

import numpy as np
import pytest

from fabricscope.topology.failures import ChannelEvent, Failure, PortSignal
from fabricscope.topology.packet_level import layout
from fabricscope.topology.packet_level.engine import run_packets
from fabricscope.topology.packet_level.parameters import Nic, PacketOptions, SwitchModel
from fabricscope.topology.recovery.plan import DataPlane, Plan
from fabricscope.topology.routing.balancing import Balancing
from fabricscope.topology.routing.routes import build_routes

PLAIN = Nic(first_header_bytes=0, window_bytes=1 << 40, timeout=14, dcqcn=None)
NO_MARKS = SwitchModel(ecn=False)


def plane(fabric, **changed):
    settings = {
        "mode": "port", "local": True, "remote": True, "detect_ns": 5_000.0,
        "install_ns": 10_000.0, "sampler": 1024, "table_size": 4096, "ageing_ns": 5e9,
        "notification_bytes": 84, "process_ns": 1_000.0,
        "takes_part": np.ones(len(fabric.devices), np.uint8),
    }  # fmt: skip
    return Plan((), DataPlane(**(settings | changed)))


def break_link(fabric, name, down_ns, up_ns=None):
    channel = 2 * fabric.find_link(name)
    pair = (channel, channel + 1)
    events = [ChannelEvent(down_ns, one, 0.0) for one in pair]
    signals = [PortSignal(down_ns, one, False) for one in pair]
    if up_ns is not None:
        events += [ChannelEvent(up_ns, one, 1.0) for one in pair]
        signals += [PortSignal(up_ns, one, True) for one in pair]
    return Failure(f"{name}@{down_ns}", "link", down_ns, tuple(events), tuple(signals))


def run(fabric, workload, failures, plan, **more):
    more.setdefault("nic", PLAIN)
    more.setdefault("switch", NO_MARKS)
    routes = more.pop("routes", None) or build_routes(fabric)
    return run_packets(fabric, routes, Balancing(), workload, failures, plan, **more)


def lines(result, kind):
    return result.log[result.log["kind"] == layout.LOG_KINDS.index(kind)]


@pytest.fixture(name="crossing")
def _crossing(leaf_spine, transfers):
    """Return two leaves under four spines with traffic both ways over all of them."""
    fabric = leaf_spine(2, 4, 8)
    hosts = fabric.endpoints
    source = np.repeat(hosts, 2)
    destination = np.concatenate([np.roll(hosts, 8)] * 2).reshape(2, -1).T.ravel()
    return fabric, transfers(source, destination, 4_000_000)


def test_port_driven_recovery_moves_both_ends(crossing):
    fabric, workload = crossing
    failure = break_link(fabric, "leaf0-spine1", 50_000.0)
    result = run(fabric, workload, [failure], plane(fabric))
    spine, leaf0, leaf1 = (fabric.numbers[name] for name in ("spine1", "leaf0", "leaf1"))
    detected = lines(result, "detected")
    assert set(detected["device"]) == {spine, leaf0}
    assert set(detected["time"]) == {55_000_000}
    switched = lines(result, "switched")
    at = dict(zip(switched["device"].tolist(), switched["time"].tolist(), strict=True))
    # The leaf withdraws its own port; the spine tells the other leaf, in a packet of 84 bytes that
    # waits for at most the packet that is being sent.
    assert at[leaf0] == 65_000_000
    told = 55_000_000 + 1_000_000 + 84 * 80 + 1_000_000 + 1_000_000 + 10_000_000
    assert told <= at[leaf1] <= told + 4178 * 80
    assert result.counters["notices"] == 1
    assert not len(result.stalled)
    assert result.qps_timeout == 0
    # What waits in the dead port's queue still goes into it.
    assert 15_000 < result.loss_duration_ns < 60_000


def test_local_or_remote_alone_helps_one_direction_only(crossing):
    fabric, workload = crossing
    failure = break_link(fabric, "leaf0-spine1", 50_000.0)
    both = run(fabric, workload, [failure], plane(fabric))
    local = run(fabric, workload, [failure], plane(fabric, remote=False))
    remote = run(fabric, workload, [failure], plane(fabric, local=False))
    leaf0, leaf1 = fabric.numbers["leaf0"], fabric.numbers["leaf1"]
    spine = fabric.numbers["spine1"]
    assert set(lines(local, "switched")["device"]) == {leaf0, spine}
    # The notice about the spine's lost destinations reaches the other leaf without its help.
    assert leaf1 in set(lines(remote, "switched")["device"])
    assert leaf0 not in set(lines(remote, "switched")["device"])
    assert both.packets_lost < min(local.packets_lost, remote.packets_lost)
    assert local.stalled
    assert remote.stalled


def test_a_device_without_the_function_neither_tells_nor_listens(crossing):
    fabric, workload = crossing
    failure = break_link(fabric, "leaf0-spine1", 50_000.0)
    for deaf, notices in (("spine1", 0), ("leaf1", 1)):
        part = np.ones(len(fabric.devices), np.uint8)
        part[fabric.numbers[deaf]] = 0
        result = run(fabric, workload, [failure], plane(fabric, takes_part=part))
        assert result.counters["notices"] == notices
        assert fabric.numbers["leaf1"] not in lines(result, "switched")["device"]


def test_repair_takes_the_ports_back(crossing):
    fabric, workload = crossing
    failure = break_link(fabric, "leaf0-spine1", 50_000.0, 200_000.0)
    result = run(fabric, workload, [failure], plane(fabric))
    restored = lines(result, "restored")
    names = {fabric.devices[number].name for number in restored["device"]}
    assert names == {"leaf0", "leaf1", "spine1"}
    channel = 2 * fabric.find_link("leaf0-spine1")
    assert result.channel_bytes[2, channel] > 0
    assert result.lost["sent_into_dead"] > 0
    assert not len(result.stalled)


def sample(fabric, workload, failures, **changed):
    return run(fabric, workload, failures, plane(fabric, mode="sampled", **changed), seed=3)


@pytest.mark.parametrize(("share", "expected_ns"), [(1.0, 342_262.0), (0.1, 3_422_618.0)])
def test_the_first_sample_comes_after_the_published_time(leaf_spine, transfers, share, expected_ns):
    """A 100G port sees 1 packet in 334.24 ns at full load: 1,024 of them on average."""
    fabric = leaf_spine(2, 1, 1, 100.0 * share)
    one, two = fabric.endpoints
    # No destination may be entered, so that the port goes on sampling: the time between samples
    # is then the time to the first one, thousands of times over.
    failure = break_link(fabric, "leaf0-spine0", 0.0)
    options = PacketOptions(most_log_lines=1_000_000, until_ns=6_000 * expected_ns)
    settings = plane(fabric, mode="sampled", detect_ns=0.0, table_size=0, local=False, remote=False)
    nic = Nic(first_header_bytes=0, window_bytes=1 << 44, timeout=31, dcqcn=None)
    workload = transfers([one], [two], 4096 * 1024 * 6_100)
    result = run(fabric, workload, [failure], settings, nic=nic, options=options)
    times_ns = lines(result, "sampled")["time"] / 1000
    assert len(times_ns) > 5_500
    assert np.diff(times_ns).mean() == pytest.approx(expected_ns, rel=0.03)


def test_sampled_local_recovery_moves_one_destination_at_a_time(crossing):
    fabric, workload = crossing
    failure = break_link(fabric, "leaf0-spine1", 50_000.0)
    result = sample(fabric, workload, [failure], sampler=4)
    leaf0 = fabric.numbers["leaf0"]
    created = lines(result, "created")
    own = created[created["device"] == leaf0]
    channel = 2 * fabric.find_link("leaf0-spine1")
    assert set(own["channel"]) == {channel}
    assert len(set(own["place"])) == len(own) > 1
    assert result.counters["created_entries"] == len(created)
    assert not len(result.stalled)


def test_sampled_remote_recovery_advertises_to_where_the_sample_came_from(crossing):
    fabric, workload = crossing
    failure = break_link(fabric, "leaf0-spine1", 50_000.0)
    result = sample(fabric, workload, [failure], sampler=4)
    spine, leaf1 = fabric.numbers["spine1"], fabric.numbers["leaf1"]
    told = lines(result, "notified")
    assert set(told["device"]) == {spine}
    learnt = lines(result, "created")
    learnt = learnt[learnt["device"] == leaf1]
    assert set(learnt["hops"]) == {1}
    assert set(learnt["channel"]) == {2 * fabric.find_link("leaf1-spine1")}
    first = told["time"][0]
    assert learnt["time"][0] >= first + 84 * 80 + 1_000_000 + 11_000_000


def test_entries_age_and_the_loss_returns(crossing):
    fabric, workload = crossing
    failure = break_link(fabric, "leaf0-spine1", 50_000.0)
    result = sample(fabric, workload, [failure], sampler=4, ageing_ns=100_000.0)
    aged = lines(result, "aged")
    created = lines(result, "created")
    assert result.counters["aged_entries"] == len(aged) == len(created)
    key = {(row["device"], row["place"], row["time"]) for row in created}
    assert all((row["device"], row["place"], row["time"] - 100_000_000) in key for row in aged)
    steady = sample(fabric, workload, [failure], sampler=4)
    assert result.packets_lost > steady.packets_lost


def test_a_full_table_is_an_event_of_its_own(crossing):
    fabric, workload = crossing
    failure = break_link(fabric, "leaf0-spine1", 50_000.0)
    result = sample(fabric, workload, [failure], sampler=4, table_size=1)
    created = lines(result, "created")
    assert np.unique(created["device"]).tolist() == sorted(created["device"].tolist())
    assert result.counters["resource_fails"] == len(lines(result, "resource_fail")) > 0


def test_a_second_failure_is_not_switched_again(leaf_spine, transfers):
    fabric = leaf_spine(2, 2, 4)
    hosts = fabric.endpoints
    workload = transfers(np.repeat(hosts[:4], 4), np.tile(hosts[4:], 4), 3_000_000)
    first = break_link(fabric, "leaf0-spine0", 50_000.0)
    second = break_link(fabric, "leaf0-spine1", 300_000.0)
    result = sample(fabric, workload, [first, second], sampler=4)
    leaf0 = fabric.numbers["leaf0"]
    moved = lines(result, "switched")
    moved = moved[moved["device"] == leaf0]
    assert len(moved)
    assert len(set(moved["place"])) == len(moved)
    assert (moved["time"] < 300_000_000).all()
    again = lines(result, "stopped")
    assert ((again["device"] == leaf0) & (again["time"] > 300_000_000)).any()


def test_excluded_ports_and_destinations_are_never_sampled(crossing):
    fabric, workload = crossing
    failure = break_link(fabric, "leaf0-spine1", 50_000.0)
    channel = 2 * fabric.find_link("leaf0-spine1")
    options = PacketOptions(excluded_channels=(channel, channel + 1))
    settings = plane(fabric, mode="sampled", sampler=4)
    assert run(fabric, workload, [failure], settings, options=options).counters["samples"] == 0
    hosts = tuple(fabric.endpoints.tolist())
    options = PacketOptions(excluded_destinations=hosts[1:])
    result = run(fabric, workload, [failure], settings, options=options)
    assert set(lines(result, "sampled")["place"]) <= {hosts[0]}
    assert result.counters["samples"] > 0


def test_a_device_without_another_path_relays_one_hop_further(transfers):
    """Spine 0 of pod 1 loses a leaf; its core has one way into the pod; the sender's spine has two.

    So the advertisement goes from the spine over the core to the spine of pod 0.
    """
    from fabricscope.topology.builders import build

    fabric = build("fat-tree:4")
    hosts = [fabric.devices[number].name for number in fabric.endpoints]
    pods = {fabric.devices[number].pod for number in fabric.endpoints}
    assert len(pods) == 4
    routes = build_routes(fabric)
    first = [n for n in fabric.endpoints.tolist() if fabric.devices[n].pod == 0]
    second = [n for n in fabric.endpoints.tolist() if fabric.devices[n].pod == 1]
    assert len(hosts) == 16
    workload = transfers(np.repeat(first, 4), np.tile(second, 4), 2_000_000)
    target = routes.uplinks[routes.uplink_start[second[0]]]
    leaf = int(routes.target[target])
    link = next(
        number
        for number, one in enumerate(fabric.links)
        if leaf in (one.a, one.b)
        and {fabric.devices[one.a].tier, fabric.devices[one.b].tier} == {1, 2}
    )
    failure = break_link(fabric, fabric.link_names[link], 50_000.0)
    result = sample(fabric, workload, [failure], sampler=4)
    told = lines(result, "notified")
    tiers = {
        int(hops): {fabric.devices[n].tier for n in told["device"][told["hops"] == hops]}
        for hops in set(told["hops"])
    }
    assert tiers[0] == {2}
    assert tiers[1] == {3}
    created = lines(result, "created")
    relayed = created[created["hops"] == 2]
    assert len(relayed)
    assert {fabric.devices[n].pod for n in relayed["device"]} == {0}
    assert {fabric.devices[n].tier for n in relayed["device"]} == {2}
