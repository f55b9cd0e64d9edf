"""How news spreads with fixed delays, to the nanosecond."""

import numpy as np
import pytest

from fabricscope.topology.recovery.detection import find_port_news
from fabricscope.topology.recovery.dissemination import disseminate
from fabricscope.topology.recovery.plan import ALL_GROUPS
from fabricscope.topology.recovery.row_routes import FeedingChannels, RowRoutes


class Fixed:
    """Install 1,000 ns, switch 100, pass on 10, travel 1."""

    def __init__(self, local=True, remote=True, without=()):
        self.applies_local = local
        self.applies_remote = remote
        self.without = without

    def takes_part(self, device):
        return device not in self.without

    def install(self, news):
        return 1000.0, 100.0

    def pass_on(self, news):
        return 10.0

    def travel(self, channel):
        return 1.0


def _spread(situation, reaction=None):
    ports = find_port_news(situation.fabric, situation.failure, lambda: 5.0, None, lambda: 0.0)
    return disseminate(situation, ports, reaction or Fixed())


def _rows(situation, changes):
    names = [device.name for device in situation.fabric.devices]
    return [
        (names[c.device], c.role, c.time_ns - situation.failure.start_ns, c.moments.hops)
        for c in changes
    ]


def test_two_tiers(situate):
    situation = situate("leaf-spine:3x2x1@100G", "leaf0-spine0@1ms")
    changes = _spread(situation)
    assert _rows(situation, changes) == [
        ("leaf0", "local", 1105.0, 0),
        ("spine0", "local", 1105.0, 0),
        ("leaf1", "remote", 1116.0, 1),
        ("leaf2", "remote", 1116.0, 1),
    ]
    assert [change.group for change in changes[:2]] == [ALL_GROUPS] * 2
    group = situation.routes.group[situation.fabric.find_device("host0")]
    assert {change.group for change in changes[2:]} == {group}
    moments = changes[-1].moments
    assert (moments.detect_ns, moments.notify_ns, moments.install_ns, moments.switch_ns) == (
        5.0, 11.0, 1000.0, 100.0,
    )  # fmt: skip


def test_three_tiers_relay_where_nothing_is_left(situate):
    situation = situate("clos:2x2x2x4x1@100G", "spine0>leaf0@1ms")
    rows = _rows(situation, _spread(situation))
    assert rows[0] == ("spine0", "local", 1105.0, 0)
    assert ("leaf1", "remote", 1116.0, 1) in rows  # same pod
    relays = {name: hops for name, role, _, hops in rows if role == "remote"}
    assert relays == {"core0": 1, "core1": 1, "spine2": 2, "leaf1": 1, "leaf2": 3, "leaf3": 3}


def test_a_device_with_another_path_tells_nobody(situate):
    situation = situate("leaf-spine:3x2x1@100G", "leaf0>spine0@1ms")
    assert _rows(situation, _spread(situation)) == [("leaf0", "local", 1105.0, 0)]


def test_two_failures_together_strand_what_one_does_not(situate):
    situation = situate("clos:2x2x2x4x1@100G", "spine0>core0@1ms", "spine0>core1@2ms")
    rows = _rows(situation, _spread(situation))
    assert ("leaf0", "remote", 1e6 + 1116.0, 1) in rows  # only when the second core is gone too


def test_halves_and_absent_devices(situate):
    situation = situate("leaf-spine:3x2x1@100G", "leaf0-spine0@1ms")
    assert {row[1] for row in _rows(situation, _spread(situation, Fixed(remote=False)))} == {
        "local"
    }
    assert {row[1] for row in _rows(situation, _spread(situation, Fixed(local=False)))} == {
        "remote"
    }
    spine = situation.fabric.find_device("spine0")
    without = _rows(situation, _spread(situation, Fixed(without=(spine,))))
    assert without == [("leaf0", "local", 1105.0, 0)]


def test_a_repair_is_announced_after_it_is_used(situate):
    situation = situate("leaf-spine:3x2x1@100G", "spine0>leaf0@1ms..2ms")
    back = [c for c in _spread(situation) if c.use]
    names = [situation.fabric.devices[c.device].name for c in back]
    assert names == ["spine0", "leaf1", "leaf2"]
    assert back[0].time_ns == 2e6 + 5 + 1100
    assert back[1].time_ns == back[0].time_ns + 1 + 1100


def test_a_broken_access_link_is_withdrawn_everywhere(situate):
    situation = situate("dual-tor:2x2x1@100G", "host0-leaf0@1ms")
    rows = _rows(situation, _spread(situation))
    assert {name for name, role, *_ in rows if role == "remote"} == {"spine0", "spine1"}


def test_news_do_not_travel_over_dead_channels(situate):
    situation = situate("leaf-spine:3x2x1@100G", "spine0>leaf0@1ms", "spine0>leaf1@1ms")
    names = {row[0] for row in _rows(situation, _spread(situation)) if row[1] == "remote"}
    assert names == {"leaf2"}


@pytest.mark.parametrize("spec", ["leaf-spine:3x2x1@100G", "clos:2x2x2x4x1@100G"])
def test_rows_and_feeding_channels_are_those_of_the_routes(situate, spec):
    situation = situate(spec, "leaf0-spine0@1ms")
    routes, fabric = situation.routes, situation.fabric
    feeding = FeedingChannels(routes)
    groups = routes.distance.shape[0]
    for device in np.flatnonzero(routes.row >= 0).tolist():
        row = RowRoutes(routes, device)
        seen = {}
        for group in range(groups):
            entry = int(routes.row[device]) * groups + group
            for place in range(routes.start[entry], routes.start[entry + 1]):
                seen.setdefault(int(routes.channels[place]), []).append(group)
        assert {c: row.used_for(c).tolist() for c in seen} == seen
        assert len(row.used_for(-5)) == 0
        expected = [
            c
            for c in range(len(routes.target))
            if routes.target[c] == device and routes.row[fabric.channels.source[c]] >= 0
        ]
        assert sorted(feeding.into(device)) == expected
