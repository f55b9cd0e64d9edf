"""The bounded, ageing fault table."""

from fabricscope.topology.recovery.fault_table import FaultTables


def test_entries_age_and_make_room():
    tables = FaultTables(size=2, ageing_ns=10.0)
    assert tables.enter(0, 1, 7, 0.0) == "new"
    assert tables.enter(0, 2, 7, 1.0) == "new"
    assert tables.enter(0, 3, 7, 2.0) == "full"
    assert tables.full == {0}
    assert tables.free_ns(0, 3) == 10.0
    assert tables.enter(0, 3, 7, 10.0) == "new"
    assert tables.enter(1, 3, 7, 2.0) == "new"  # another device has its own table


def test_a_destination_switches_over_once():
    tables = FaultTables(size=9, ageing_ns=10.0)
    assert tables.enter(0, 1, 7, 0.0) == "new"
    assert tables.enter(0, 1, 7, 1.0) == "same"
    assert tables.enter(0, 1, 8, 2.0) == "second"
    assert tables.second == {(0, 1)}
    assert tables.free_ns(0, 1) == 10.0
    assert tables.enter(0, 1, 8, 10.0) == "new"


def test_an_empty_table_has_room_at_once():
    assert FaultTables(size=1, ageing_ns=1.0).free_ns(3, 4) == 0.0
