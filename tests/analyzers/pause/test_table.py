"""Pause frames over time: counted once, in bins that double."""

import numpy as np
import pytest

from fabricscope.analyzers.pause import PauseTable
from fabricscope.analyzers.timeline.fold import TIMELINE_BINS
from fabricscope.records import FLAG_DUPLICATE, PROTOCOLS, allocate_packets

START_NS = 10**18


def _count(batches: list[list[int]]) -> PauseTable:
    table = PauseTable(link_rate_gbps=100.0)
    for times_ns in batches:
        packets = allocate_packets(len(times_ns))
        packets.time_ns[:] = np.asarray(times_ns) + START_NS
        packets.protocol[:] = PROTOCOLS.index("pause")
        table.update(np.zeros(64, np.uint8), packets)
    return table


@pytest.mark.parametrize("span_ns", [1, 1_000_000, 3_600 * 10**9])
def test_every_frame_stands_in_the_bin_of_its_time(span_ns: int) -> None:
    chance = np.random.default_rng(5)
    times_ns = np.concatenate(([0], np.sort(chance.integers(0, span_ns, 500)))).tolist()
    table = _count([times_ns[:1], times_ns[1:200], times_ns[200:]])
    start_ns, shift = table.timeline_scale.tolist()
    assert start_ns == START_NS
    assert times_ns[-1] >> shift < TIMELINE_BINS
    assert shift == 10 or times_ns[-1] >> (shift - 1) >= TIMELINE_BINS
    expected = [0] * TIMELINE_BINS
    for time_ns in times_ns:
        expected[time_ns >> shift] += 1
    assert table.timeline[:, 0].tolist() == expected


def test_a_frame_seen_at_a_second_tap_counts_once() -> None:
    table = PauseTable(link_rate_gbps=100.0)
    packets = allocate_packets(2)
    packets.time_ns[:] = START_NS
    packets.protocol[:] = PROTOCOLS.index("pfc")
    packets.flags[1] = FLAG_DUPLICATE
    table.update(np.zeros(64, np.uint8), packets)
    assert table.timeline.sum() == 1


def test_no_pause_no_timeline() -> None:
    table = PauseTable(link_rate_gbps=100.0)
    table.update(np.zeros(64, np.uint8), allocate_packets(3))
    assert table.timeline_scale[0] == -1
    assert not table.timeline.any()
