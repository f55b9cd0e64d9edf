"""What switches cannot reach, apart from the convergence that is made of it."""

import math

from fabricscope.topology.outages import LOCAL, REMOTE, find_outages


def test_a_dead_link_concerns_its_ends_and_those_who_send_to_them(situate):
    situation = situate("leaf-spine:3x2x1@100G", "leaf0-spine0@1ms")
    fabric, routes = situation.fabric, situation.routes
    found = find_outages(situation, ())
    leaf0, leaf1, spine0 = map(fabric.find_device, ("leaf0", "leaf1", "spine0"))
    group = int(routes.group[fabric.find_device("host0")])
    assert set(found.bad) == {leaf0, leaf1, fabric.find_device("leaf2"), spine0}
    assert found.times[found.bad[leaf1][group]] == ((1e6, math.inf),)
    assert found.times[found.hopeless[leaf1][group]] == ()
    assert found.times[found.hopeless[spine0][group]] == ((1e6, math.inf),)
    assert found.role[leaf1][group] == REMOTE
    assert set(found.role[leaf0].tolist()) == {0, LOCAL}
    assert found.lost_share[leaf1][group] == 0.5
    assert found.lost_share[spine0][group] == 1.0


def test_what_fails_later_is_no_share_of_the_beginning(situate):
    situation = situate("leaf-spine:3x4x1@100G", "leaf0>spine0@1ms", "leaf0>spine1@2ms")
    found = find_outages(situation, ())
    leaf0 = situation.fabric.find_device("leaf0")
    assert set(found.lost_share[leaf0].tolist()) == {0.0, 0.25}
