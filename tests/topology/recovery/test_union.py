"""Several sources of route changes on one device."""

from fabricscope.topology.recovery.plan import Moments, RouteChange
from fabricscope.topology.recovery.union import find_exclusions, unite


def _change(time_ns, use, channel=0, group=-1):
    return RouteChange(time_ns, 1, channel, group, use, "local", Moments())


def test_the_first_withdraws_and_the_last_gives_back():
    fast = [_change(1.0, False), _change(5.0, True)]
    slow = [_change(3.0, False), _change(9.0, True)]
    assert [(c.time_ns, c.use) for c in unite(fast, slow)] == [(1.0, False), (9.0, True)]


def test_gaps_between_sources_remain():
    fast = [_change(1.0, False), _change(2.0, True)]
    slow = [_change(3.0, False)]
    assert [c.time_ns for c in unite(fast, slow)] == [1.0, 2.0, 3.0]


def test_ports_and_groups_are_apart():
    assert len(unite([_change(1.0, False)], [_change(2.0, False, group=3)])) == 2


def test_exclusions_are_intervals():
    changes = [_change(1.0, False), _change(2.0, False, channel=4), _change(5.0, True)]
    assert find_exclusions(changes) == {
        (1, 0, -1): [(1.0, 5.0)],
        (1, 4, -1): [(2.0, float("inf"))],
    }
