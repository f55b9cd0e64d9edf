"""The behaviour kernel against its slow twin, on random and on nasty input."""

import numpy as np
import pytest

from fabricscope.analyzers.behaviour.kernels import follow_activity, forget
from fabricscope.analyzers.behaviour.layout import ActivityState, allocate_activity
from reference.behaviour import GAPS_NS, follow

Row = tuple[int, int, int, int, int, int]
EPOCH_NS = 1_800_000_000_000_000_000


def feed(state: ActivityState, rows: list[Row], batch: int = 37) -> None:
    for start in range(0, len(rows), batch):
        columns = list(zip(*rows[start : start + batch], strict=True))
        dtypes = (np.int64, np.uint32, np.uint8, np.uint32, np.int64, np.uint8)
        arrays = [np.array(column, dtype) for column, dtype in zip(columns, dtypes, strict=True)]
        for array in arrays:
            array.flags.writeable = False
        follow_activity(state, *arrays)


def check(state: ActivityState, rows: list[Row]) -> None:
    for number, twin in follow(rows).items():
        activity = state.flows[number]
        clock = twin.clock()
        assert activity["packets"] == len(twin.packets)
        assert activity["payload_bytes"] == sum(packet[2] for packet in twin.packets)
        assert (activity["first_ns"], activity["last_ns"]) == (clock[0], clock[-1])
        assert activity["side"] == twin.packets[-1][1]
        assert activity["repeated"] == twin.repeated()
        pairs = zip(activity["answers"].tolist(), activity["answer_ns"].tolist(), strict=True)
        assert list(pairs) == twin.answers()
        for level, gap_ns in enumerate(GAPS_NS):
            for name, value in twin.level(gap_ns).items():
                assert activity[name][level] == pytest.approx(value, rel=1e-12), (name, gap_ns)
        if len(twin.packets) < 16:
            assert activity["series"] == 0
            continue
        shift, base, bins = twin.series()
        assert (activity["series_shift"], activity["series_base"]) == (shift, base)
        assert state.series[activity["series"] - 1].tolist() == bins


def random_rows(seed: int, count: int) -> list[Row]:
    rng = np.random.default_rng(seed)
    gaps = (10 ** rng.uniform(0, 9.5, count)).astype(np.int64)
    gaps[rng.random(count) < 0.1] *= -1
    times = EPOCH_NS + np.cumsum(np.where(rng.random(count) < 0.6, gaps // 10_000, gaps))
    sizes = np.where(rng.random(count) < 0.2, 0, rng.integers(1, 9_000, count))
    sequences = rng.integers(2**32 - 20_000, 2**32 + 20_000, count) % 2**32
    return [
        (int(t), int(size), int(p), int(s), int(f), int(side))
        for t, size, p, s, f, side in zip(
            times, sizes, rng.choice([6, 17], count), sequences,
            rng.integers(-1, 6, count), rng.integers(0, 2, count), strict=True,
        )
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_random_traffic(seed: int) -> None:
    state = allocate_activity(8, 8)
    rows = random_rows(seed, 600)
    feed(state, rows)
    check(state, rows)


@pytest.mark.parametrize(
    "times",
    [
        [EPOCH_NS] * 40,
        [EPOCH_NS - k * 10**9 for k in range(40)],
        [EPOCH_NS + k * 10**9 for k in range(40)],
        [0] * 20 + [2**61],
        [k * 100_000 for k in range(40)],
        [k * 99_999 for k in range(40)],
    ],
    ids=["no time", "backwards", "seconds", "a leap", "at the gap", "below the gap"],
)
def test_nasty_times(times: list[int]) -> None:
    state = allocate_activity(8, 8)
    rows = [(now, 2**32 - 1, 6, 2**32 - 1, 0, k & 1) for k, now in enumerate(times)]
    feed(state, rows)
    check(state, rows)


def test_no_payload_leaves_no_trace() -> None:
    state = allocate_activity(8, 8)
    feed(state, [(EPOCH_NS + k, 0, 6, k, 0, k & 1) for k in range(50)])
    assert not state.flows["packets"].any()
    assert state.cursor.tolist() == [8, 0]


def test_forgotten_slots_start_anew() -> None:
    state = allocate_activity(8, 8)
    feed(state, random_rows(1, 600))
    forget(state, np.arange(8))
    assert not state.series.any()
    assert state.cursor[0] == 8
    rows = random_rows(2, 600)
    feed(state, rows)
    check(state, rows)


def test_series_run_out_and_are_counted() -> None:
    state = allocate_activity(4, 2)
    rows = [(EPOCH_NS + k * 1_000, 100, 17, 0, k % 4, 0) for k in range(4 * 40)]
    feed(state, rows)
    assert state.cursor.tolist() == [0, 2]
    assert (state.flows["series"] > 0).sum() == 2
    assert state.flows["packets"].tolist() == [40] * 4
