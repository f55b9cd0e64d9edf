"""Several captures in one order."""

from collections.abc import Iterator

import numpy as np
import pytest

from fabricscope.analyzers.taps.analyzer import TapAnalyzer
from fabricscope.analyzers.taps.merge import Batch, merge
from fabricscope.records import BATCH_ROWS, Packets, allocate_packets, slice_packets
from reference.taps_traffic import START_NS, Clock, frozen, rows, three_taps


def in_batches(view: np.ndarray, packets: Packets, size: int) -> Iterator[Batch]:
    """Yield a capture as collectors do: one set of columns, filled again each time."""
    own = allocate_packets(size)
    for start in range(0, packets.time_ns.size, size):
        part = slice_packets(packets, start, start + size)
        filled = slice_packets(own, 0, part.time_ns.size)
        for target, column in zip(filled, part, strict=True):
            target[:] = column
        yield view, filled


def collect(batches: Iterator[Batch]) -> tuple[list[bytes], Packets]:
    """Return the bytes of every packet and all columns."""
    data = []
    parts = []
    for view, packets in batches:
        assert not view.flags.writeable
        assert packets.time_ns.size <= BATCH_ROWS
        for first, length in zip(packets.packet_offset, packets.captured_length, strict=True):
            data.append(view[first : first + length].tobytes())
        parts.append([column.copy() for column in packets])
    if not parts:
        return data, allocate_packets(0)
    return data, Packets._make(np.concatenate(columns) for columns in zip(*parts, strict=True))


@pytest.mark.parametrize("size", [1, 7, 300, 5_000])
def test_order_is_that_of_all_rows_sorted(size: int) -> None:
    run = three_taps(np.random.default_rng(8), [Clock()] * 3, packets=400)
    sources = [in_batches(view, packets, size) for view, packets in run.taps]
    data, packets = collect(merge(TapAnalyzer(["a", "b", "c"]), sources))
    expected = sorted(
        (time_ns, tap, frame)
        for tap, (_, part) in enumerate(run.taps)
        for time_ns, frame in zip(part.time_ns.tolist(), part.frame.tolist(), strict=True)
    )
    got = zip(packets.time_ns.tolist(), packets.tap.tolist(), packets.frame.tolist(), strict=True)
    assert list(got) == expected
    assert [one[0] for one in data] == packets.tap.tolist()


def test_clocks_are_corrected_first() -> None:
    true = [Clock(), Clock(7_000_000_000), Clock(-2_000_000_000)]
    run = three_taps(np.random.default_rng(8), true, packets=500)
    analyzer = TapAnalyzer(["a", "b", "c"])
    for view, part in run.taps:
        analyzer.sample(view, part)
    analyzer.fit()
    sources = [in_batches(view, part, 64) for view, part in run.taps]
    _, packets = collect(merge(analyzer, sources))
    assert packets.time_ns.size == run.sightings
    assert (np.diff(packets.time_ns) >= 0).all()
    assert abs(int(packets.time_ns[0]) - START_NS) < 20_000


def test_bytes_are_cut_and_offsets_follow() -> None:
    view = frozen(np.arange(4_096) % 251)
    packets = rows(3, wire_length=5_000, captured_length=[4_000, 100, 0])
    packets.packet_offset[:] = [0, 3_000, 3_100]
    packets.payload_offset[:] = packets.packet_offset + 54
    data, merged = collect(merge(TapAnalyzer(["a"]), [in_batches(view, packets, 3)]))
    assert data == [view[:2_048].tobytes(), view[3_000:3_100].tobytes(), b""]
    assert (merged.payload_offset - merged.packet_offset == 54).all()
    assert merged.captured_length.tolist() == [2_048, 100, 0]


def test_a_wrong_time_stamp_holds_nothing_up() -> None:
    run = three_taps(np.random.default_rng(8), [Clock()] * 3, packets=600)
    packets = run.taps[0][1]
    packets.time_ns[30] += 10**15
    packets.time_ns[90] = -(10**17)
    sources = [in_batches(view, part, 50) for view, part in run.taps]
    _, merged = collect(merge(TapAnalyzer(["a", "b", "c"]), sources))
    assert merged.time_ns.size == run.sightings
    late = np.delete(np.arange(merged.time_ns.size), np.flatnonzero(
        (merged.time_ns > START_NS + 10**14) | (merged.time_ns < 0)
    ))  # fmt: skip
    disorder = np.maximum.accumulate(merged.time_ns[late]) - merged.time_ns[late]
    assert disorder.max() <= 50 * 10_000 + 30_000


def test_disorder_inside_a_capture_is_sorted_and_equal_times_keep_their_order() -> None:
    packets = rows(6, time_ns=[10, 30, 20, 20, 40, 40])
    _, merged = collect(merge(TapAnalyzer(["a"]), [in_batches(frozen(bytes(64)), packets, 6)]))
    assert merged.frame.tolist() == [1, 3, 4, 2, 5, 6]


def test_empty_sources() -> None:
    view = frozen(b"")
    nothing: list[Iterator[Batch]] = [
        iter([]), in_batches(view, rows(0), 5), iter([(view, rows(0))])
    ]  # fmt: skip
    data, _ = collect(merge(TapAnalyzer([]), nothing))
    assert data == []
    assert list(merge(TapAnalyzer([]), [])) == []


def test_more_rows_than_a_batch() -> None:
    count = BATCH_ROWS + 10
    packets = rows(count)
    sources = [in_batches(frozen(bytes(64)), packets, count) for _ in range(2)]
    data, merged = collect(merge(TapAnalyzer(["a"]), sources))
    assert merged.time_ns.size == 2 * count
    assert len(data) == 2 * count


def test_a_limit_below_one_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        list(merge(TapAnalyzer([]), [], copied_bytes=0))
