"""What every test of decoding needs: rows of columns from bytes, records from capture files."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from fabricscope.collectors.capture import CaptureFile
from fabricscope.collectors.decode import decode
from fabricscope.records import PACKET_DTYPES, PROTOCOLS, TUNNELS, allocate_packets

DECODED = tuple(name for name, _ in PACKET_DTYPES[7:])

Row = dict[str, int]


class Record(NamedTuple):
    """One captured packet."""

    data: bytes
    wire_length: int
    link_type: int


def decode_rows(records: Iterable[Record], filler: int = 0xEE) -> list[Row]:
    """Return the decoded columns, `payload_offset` from the packet's start.

    The records lie between bytes of `filler`, and the columns hold rubbish before.
    """
    records = list(records)
    packets = allocate_packets(len(records))
    for column in packets:
        column[:] = 77
    margin = bytes([filler]) * 5
    view = bytearray(margin)
    for i, record in enumerate(records):
        packets.packet_offset[i] = len(view)
        packets.captured_length[i] = len(record.data)
        packets.wire_length[i] = record.wire_length
        packets.link_type[i] = record.link_type
        view += record.data + margin
    decode(np.frombuffer(bytes(view), np.uint8), packets)
    packets.payload_offset[:] -= packets.packet_offset
    columns = [getattr(packets, name).tolist() for name in DECODED]
    return [dict(zip(DECODED, row, strict=True)) for row in zip(*columns, strict=True)]


def load_records(path: Path, most: int = 1 << 30) -> list[Record]:
    """Return the first `most` records of a capture file."""
    records: list[Record] = []
    packets = allocate_packets(1024)
    with CaptureFile(path) as capture:
        while len(records) < most:
            view, count = capture.read(packets)
            if count == 0:
                break
            for i in range(count):
                start = int(packets.packet_offset[i])
                data = view[start : start + int(packets.captured_length[i])].tobytes()
                wire = int(packets.wire_length[i])
                records.append(Record(data, wire, int(packets.link_type[i])))
    return records[:most]


@pytest.fixture(scope="session")
def record() -> type[Record]:
    """Return the type of a captured packet."""
    return Record


@pytest.fixture(scope="session")
def rows() -> Callable[..., list[Row]]:
    """Return a function from records to decoded rows."""
    return decode_rows


@pytest.fixture(scope="session")
def row() -> Callable[..., Row]:
    """Return a function from one packet's bytes to its decoded row."""

    def decode_one(data: bytes, wire_length: int = 0, link_type: int = 1) -> Row:
        return decode_rows([Record(data, wire_length or len(data), link_type)])[0]

    return decode_one


@pytest.fixture(scope="session")
def load() -> Callable[..., list[Record]]:
    """Return a function from a capture's path to its records."""
    return load_records


@pytest.fixture(scope="session")
def protocol_of() -> Callable[[Row], str]:
    """Return a function from a row to the name of its protocol."""
    return lambda row: PROTOCOLS[row["protocol"]]


@pytest.fixture(scope="session")
def tunnels_of() -> Callable[[Row], list[tuple[str, int]]]:
    """Return a function from a row to its tunnels and their ids, outermost first."""

    def tunnels(row: Row) -> list[tuple[str, int]]:
        identifiers = row["tunnel_ids_low"] | row["tunnel_ids_high"] << 64
        kinds = [row["tunnel_kinds"] >> 8 * level & 0xFF for level in range(4)]
        return [
            (TUNNELS[kind], identifiers >> 32 * level & 0xFFFFFFFF)
            for level, kind in enumerate(kinds)
            if kind
        ]

    return tunnels
