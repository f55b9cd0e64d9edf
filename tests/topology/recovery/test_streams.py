"""Which packets end in a dead port, and who could avoid it."""

import numpy as np
import pytest

from fabricscope.topology.recovery.plan import Situation, Traffic
from fabricscope.topology.recovery.streams import StreamFinder


def _dead(situation):
    return situation.failure.events[0].channel


def test_a_leaf_avoids_its_own_dead_uplink(situate):
    situation = situate("leaf-spine:3x2x1@100G", "leaf0>spine0@1ms")
    dead = _dead(situation)
    streams = StreamFinder(situation, 0.5, 4178).find(dead, [1, 2], {dead})
    assert [stream.path for stream in streams] == [(dead,)] * 2
    full = 100 / (8 * 4178)
    assert sum(stream.packets_per_ns for stream in streams) == pytest.approx(full * 0.5)


def test_a_spine_depends_on_the_leaves_that_send(situate):
    situation = situate("leaf-spine:3x2x1@100G", "spine0>leaf0@1ms")
    dead = _dead(situation)
    streams = StreamFinder(situation, 1.0, 4178).find(dead, [0], {dead})
    assert {len(stream.path) for stream in streams} == {2}
    assert len(streams) == 2
    assert len({stream.packets_per_ns for stream in streams}) == 1


def test_given_traffic_shares_the_streams(situate):
    situation = situate("leaf-spine:3x2x1@100G", "spine0>leaf0@1ms")
    dead = _dead(situation)
    even = StreamFinder(situation, 1.0, 4178).find(dead, [0], {dead})
    feeders = [stream.path[0] for stream in even]
    rates = np.zeros((3, situation.routes.distance.shape[0]))
    rates[:, 0] = (4e-3, 3e-3, 1e-3)
    traffic = Traffic(np.array([dead, *feeders], np.int32), rates)
    given = Situation(situation.fabric, situation.routes, situation.failure, traffic)
    streams = StreamFinder(given, 1.0, 4178).find(dead, [0], {dead})
    assert [stream.packets_per_ns for stream in streams] == pytest.approx([3e-3, 1e-3])
    assert StreamFinder(given, 1.0, 4178).find(dead, [1], {dead}) == []


def test_a_chain_of_single_links_has_nobody_who_could_help(situate):
    situation = situate("leaf-spine:2x1x1@100G", "spine0>leaf0@1ms")
    dead = _dead(situation)
    assert StreamFinder(situation, 1.0, 4178).find(dead, [0], {dead}) == []
