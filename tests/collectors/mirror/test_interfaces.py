from fabricscope.collectors.mirror.interfaces import dropped_by_interfaces

TABLE = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop
    lo:   10       1    0    0    0     0          0         0     1234     1    0    0
  eth0: 1234567  890    1   23    4     0          0         5     9999     9    0    7
"""


def test_drops_and_overruns_of_reception_are_added() -> None:
    assert dropped_by_interfaces(TABLE) == {"lo": 0, "eth0": 27}


def test_what_is_no_table_tells_of_no_interface() -> None:
    assert dropped_by_interfaces("face: 1 2\nnothing\n") == {}


def test_this_host_has_a_loopback() -> None:
    assert dropped_by_interfaces()["lo"] >= 0
