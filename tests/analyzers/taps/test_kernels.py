"""Occurrences and losses against plain Python."""

import numpy as np
import pytest

from fabricscope.analyzers.taps import kernels
from fabricscope.analyzers.taps.layout import (
    KIND_RELIABLE,
    KIND_UNSURE,
    LOSS_TAPS,
    MAX_STEPS,
    SHORT_RUN,
    TOTALS,
    State,
    allocate_state,
)
from fabricscope.records import FLAG_DUPLICATE
from reference import taps as twin
from reference.taps_traffic import START_NS, rows

WINDOW_NS = 1_000_000
PROXIMITY_NS = 2_000
Row = tuple[int, int, int, int, int, bool]  # tap, time, key, variant, flow, reliable


def run(
    table: list[Row],
    capacity: int = 1 << 12,
    window_ns: int = WINDOW_NS,
    step: int | None = None,
    kind: int = 0,
) -> tuple[list[bool], State]:
    state = allocate_state(capacity)
    flags: list[bool] = []
    for start in range(0, len(table), step or max(len(table), 1)):
        part = table[start : start + (step or len(table))]
        taps, times, keys, variants, flows, reliable = zip(*part, strict=True)
        packets = rows(len(part), tap=taps, time_ns=times, frame=np.arange(len(part)) + start + 1)
        kernels.count(packets, state)
        kernels.mark(
            packets,
            np.array(keys, np.uint64),
            np.array(variants, np.uint32),
            np.array([kind | KIND_RELIABLE * one for one in reliable], np.uint8),
            np.array(flows, np.uint64),
            state,
            window_ns,
            PROXIMITY_NS,
        )
        flags += (packets.flags & FLAG_DUPLICATE).astype(bool).tolist()
    return flags, state


def random_rows(rng: np.random.Generator, count: int, keys: int, taps: int) -> list[Row]:
    times = START_NS + np.cumsum(rng.choice([0, 10, 1_000, 100_000], count, p=[0.3, 0.4, 0.2, 0.1]))
    # A little out of order, as captures are.
    times += rng.integers(0, 3, count) * 500
    table = []
    for time_ns in times.tolist():
        key = int(rng.integers(0, keys))
        table.append(
            (
                int(rng.integers(0, taps)),
                time_ns,
                key * 0x9E3779B97F4A7C15 % 2**64,
                int(rng.integers(0, 2)),
                (key % 3 + 1) << 32,
                key % 2 == 0,
            )
        )
    return table


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("keys", "taps"), [(2, 2), (30, 3), (400, 5)])
def test_like_the_twin(seed: int, keys: int, taps: int) -> None:
    table = random_rows(np.random.default_rng(seed), 600, keys, taps)
    duplicates, packets = twin.match(table, WINDOW_NS, PROXIMITY_NS)
    flags, state = run(table, step=[None, 97][seed % 2])
    assert flags == duplicates
    spans = {
        tap: (min(times), max(times))
        for tap in range(taps)
        if (times := [row[1] for row in table if row[0] == tap])
    }
    assert {tap: (int(state.first_ns[tap]), int(state.last_ns[tap])) for tap in spans} == spans
    kernels.finish(state)
    books = twin.account(packets, spans, SHORT_RUN)
    for tap in spans:
        mine = [book for (_, at), book in books.items() if at == tap]
        for name in ("seen", "lost", "lost_resent", "absent"):
            expected = sum(getattr(book, name) for book in mine)
            assert int(getattr(state, name)[:, tap].sum()) == expected, name


def test_retransmission_is_two_packets_at_both_taps() -> None:
    flags, _ = run(
        [
            (0, 0, 7, 1, 1, True),
            (1, 5, 7, 1, 1, True),
            (0, 50, 7, 2, 1, True),
            (1, 55, 7, 2, 1, True),
        ]
    )
    assert flags == [False, True, False, True]


def test_same_identification_twice_is_still_two_packets() -> None:
    flags, _ = run([(tap, time, 7, 1, 1, True) for time, tap in ((0, 0), (5, 1), (50, 0), (55, 1))])
    assert flags == [False, True, False, True]


def test_burst_of_equal_packets_pairs_in_order() -> None:
    table = [(0, time, 9, 0, 1, False) for time in range(0, 400, 10)]
    table += [(1, time + 1_000, 9, 0, 1, False) for time in range(0, 400, 10)]
    flags, _ = run(table)
    assert flags == [False] * 40 + [True] * 40


def test_order_heals_after_a_miss() -> None:
    # Keepalives each 100 us; tap 1 misses the third, and the others still pair with their own.
    table: list[Row] = []
    for number in range(10):
        table.append((0, number * 100_000, 9, 0, 1, False))
        if number != 2:
            table.append((1, number * 100_000 + 500, 9, 0, 1, False))
    flags, state = run(table)
    assert sum(flags) == 9
    masks = state.entries["mask"][:10].tolist()
    assert masks == [3, 3, 1, 3, 3, 3, 3, 3, 3, 3]


def test_one_tap_has_no_duplicates() -> None:
    flags, state = run([(0, 5, 9, 0, 1, False)] * 2_000)
    assert not any(flags)
    kernels.finish(state)
    assert state.lost.sum() == 0


def test_frames_of_one_link_are_never_duplicates() -> None:
    flags, state = run([(0, 0, 0, 0, 1, False), (1, 0, 0, 0, 1, False)])
    assert flags == [False, False]
    assert state.totals[TOTALS.next_entry] == 0


def test_beyond_the_window_it_is_another_packet() -> None:
    flags, _ = run([(0, 0, 9, 0, 1, False), (1, WINDOW_NS + 1, 9, 0, 1, False)])
    assert flags == [False, False]


def test_what_is_forced_out_is_counted() -> None:
    table = [(0, number, number + 1, 0, 1, False) for number in range(64)]
    _, state = run(table, capacity=16, step=8)
    assert state.totals[TOTALS.forced_out] == 48
    assert 0 <= state.totals[TOTALS.shortest_memory_ns] <= 16
    _, state = run(table, capacity=16, step=8, window_ns=2)
    assert state.totals[TOTALS.forced_out] == 0


def test_long_searches_are_given_up_and_counted() -> None:
    many = MAX_STEPS + 100
    table = [(0, 0, 9, 0, 1, False)] * many + [(1, 1, 9, 0, 1, False)]
    flags, state = run(table)
    assert flags[-1]
    assert state.totals[TOTALS.cut_searches] == 1


def lossy(pattern: str, flow: int = 1 << 32) -> State:
    """Book packets of one flow: `=` both taps saw it, `a` only tap 0, `b` only tap 1."""
    table: list[Row] = [(0, 0, 1, 0, 2 << 32, True), (1, 1, 1, 0, 2 << 32, True)]
    for number, letter in enumerate(pattern):
        time_ns = 10 + 10 * number
        if letter != "b":
            table.append((0, time_ns, number + 2, 0, flow, True))
        if letter != "a":
            table.append((1, time_ns + 1, number + 2, 0, flow, True))
    end = 100 + 10 * len(pattern)
    key = len(pattern) + 2
    table += [(0, end, key, 0, 2 << 32, True), (1, end + 1, key, 0, 2 << 32, True)]
    _, state = run(table)
    kernels.finish(state)
    return state


@pytest.mark.parametrize(
    ("pattern", "lost", "absent"),
    [
        ("====", [0, 0], [0, 0]),
        ("==a=b=", [1, 1], [0, 0]),
        ("a===a", [0, 2], [0, 0]),
        ("=" + "a" * 100 + "=", [0, 100], [0, 0]),
        ("=" * 100 + "a" * 100, [0, 0], [0, 100]),
        ("a" * 100 + "=" * 100, [0, 0], [0, 100]),
        ("aaaa", [0, 0], [0, 4]),  # the flow never passes tap 1
        ("aabbaabb", [0, 0], [4, 4]),  # two parallel paths
    ],
)
def test_a_gap_is_a_loss_or_an_absence(pattern: str, lost: list[int], absent: list[int]) -> None:
    state = lossy(pattern)
    assert state.lost[:, :2].sum(axis=0).tolist() == lost
    assert state.absent[:, :2].sum(axis=0).tolist() == absent


def test_examples_name_frames_of_the_other_tap() -> None:
    state = lossy("==a=")
    flow = int(np.flatnonzero(state.lost[:, 1])[0])
    assert state.example_counts[flow, 1] == 1
    assert state.examples[flow, 1, 0].tolist() == 64 * 7  # frame 7, tap 0


def test_sent_again_is_noticed() -> None:
    table: list[Row] = [
        (0, 0, 5, 0, 1 << 32, True),
        (1, 1, 5, 0, 1 << 32, True),
        (0, 10, 6, 1, 1 << 32, True),  # lost before tap 1
        (0, 100, 6, 2, 1 << 32, True),
        (1, 101, 6, 2, 1 << 32, True),
    ]
    _, state = run(table)
    kernels.finish(state)
    assert int(state.lost[:, 1].sum()) == 1
    assert int(state.lost_resent[:, 1].sum()) == 1


def test_unsure_packets_are_not_judged() -> None:
    table: list[Row] = [(number % 2, number, number + 1, 0, 1, False) for number in range(20)]
    _, state = run(table, kind=KIND_UNSURE)
    kernels.finish(state)
    assert state.totals[TOTALS.flows] == 0


def test_taps_beyond_the_loss_tables_still_match() -> None:
    table: list[Row] = [(tap, tap, 5, 0, 1, True) for tap in range(64)]
    flags, state = run(table)
    assert flags == [False] + [True] * 63
    kernels.finish(state)
    assert state.seen.shape[1] == LOSS_TAPS
    assert int(state.seen.sum()) == LOSS_TAPS


@pytest.mark.parametrize("times", [[-5, -3], [0, 0], [1 << 61, -(1 << 61)]])
def test_odd_times(times: list[int]) -> None:
    flags, state = run([(0, times[0], 5, 0, 1, True), (1, times[1], 5, 0, 1, True)])
    assert flags == [False, abs(times[0] - times[1]) <= WINDOW_NS]
    kernels.finish(state)
