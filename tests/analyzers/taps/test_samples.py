"""The bounded choice of packets, the same at every tap."""

import numpy as np

from fabricscope.analyzers.taps.layout import PAYLOAD_BYTES
from fabricscope.analyzers.taps.samples import SightingSample
from fabricscope.records import PROTOCOLS
from reference.taps_traffic import frozen, rows

VIEW = frozen(bytes(64))


def at(tap: int, count: int) -> np.ndarray:
    return np.full(count, tap, np.uint16)


def test_taps_keep_the_same_packets_within_the_limit() -> None:
    sample = SightingSample(limit=1_000)
    for start in range(0, 8_000, 1_000):
        for tap in range(2):
            sample.add(VIEW, rows(1_000, psn=np.arange(1_000) + start, ip_id=0), at(tap, 1_000))
    one, sightings = sample.unique(0)
    other, _ = sample.unique(1)
    assert 100 < one.size <= 500
    np.testing.assert_array_equal(one, other)
    assert sightings.forward.all() == sightings.forward.any()


def test_packets_seen_twice_say_nothing() -> None:
    sample = SightingSample()
    sample.add(VIEW, rows(4, psn=[1, 2, 2, 3], ip_id=0), at(0, 4))
    signatures, sightings = sample.unique(0)
    assert signatures.size == 2
    assert (np.diff(signatures.astype(object)) > 0).all()
    assert sightings.time_ns.size == 2


def test_directions_of_two_hosts() -> None:
    sample = SightingSample()
    sample.add(VIEW, rows(2, psn=1, src_lo=[1, 2], dst_lo=[2, 1]), at(0, 2))
    _, sightings = sample.unique(0)
    assert sightings.hosts[0] == sightings.hosts[1]
    assert sightings.forward[0] != sightings.forward[1]


def test_frames_of_one_link_are_left_out() -> None:
    sample = SightingSample()
    sample.add(VIEW, rows(2, protocol=PROTOCOLS.index("lldp"), ip_protocol=0), at(0, 2))
    assert sample.unique(0)[0].size == 0


def test_payload_counts_only_where_every_tap_captured_it() -> None:
    udp = {"protocol": PROTOCOLS.index("udp"), "opcode": 0, "psn": 0}
    view = frozen(bytes(200))
    sample = SightingSample()
    sample.add(view, rows(50, captured_length=100, **udp), at(0, 50))
    assert sample.payload_bytes == PAYLOAD_BYTES
    assert sample.unique(0)[0].size == 50
    sample.add(view, rows(50, captured_length=54, **udp), at(1, 50))
    assert sample.payload_bytes == 0
    np.testing.assert_array_equal(sample.unique(0)[0], sample.unique(1)[0])


def test_a_flood_of_equal_packets_ends() -> None:
    sample = SightingSample(limit=10)
    sample.add(VIEW, rows(100, psn=1, ip_id=1), at(0, 100))
    assert sample.unique(0)[0].size == 0
    assert sample.unique(5)[0].size == 0
