"""Read a capture to its end as plain tuples, for comparison with what it must hold."""

from fabricscope.collectors.capture import CaptureCounters, CaptureFile
from fabricscope.records import allocate_packets
from reference.capture import Row

Reading = tuple[list[Row], CaptureCounters, list[str], list[bytes]]


def read_all(path: str, rows_per_batch: int = 7, first_tap: int = 0) -> Reading:
    """Return rows (offsets into each batch's view), counters, taps and every record's bytes."""
    packets = allocate_packets(rows_per_batch)
    rows: list[Row] = []
    contents: list[bytes] = []
    with CaptureFile(path, first_tap=first_tap) as capture:
        while True:
            view, count = capture.read(packets)
            if count == 0:
                assert capture.read(packets)[1] == 0
                return rows, capture.counters, capture.taps, contents
            assert not view.flags.writeable
            for row in zip(*(column[:count].tolist() for column in packets[:7]), strict=True):
                # Columns stand in the order time, frame, offset, wire, captured, tap, link.
                rows.append(Row(*row))
                start, captured = rows[-1].offset, rows[-1].captured
                assert 0 <= start <= start + captured <= len(view)
                contents.append(view[start : start + captured].tobytes())
