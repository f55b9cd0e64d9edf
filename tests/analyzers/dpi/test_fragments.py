"""Fragmented datagrams put together for the head."""

import random
import struct

import numpy as np
import pytest

from fabricscope.analyzers.dpi.engine import DpiAnalyzer
from fabricscope.analyzers.dpi.fragments import MAX_PENDING, FragmentTable
from fabricscope.analyzers.dpi.tables import CompiledSignatures
from fabricscope.collectors.decode import decode
from fabricscope.records import FLAG_FRAGMENT, Packets, allocate_packets
from reference.dpi_traffic import CLIENT, SERVER

QUESTION = b"\x3f" + b"a" * 63 + b"\x3f" + b"b" * 63 + b"\x00\x00\x01\x00\x01"
DNS = bytes.fromhex("123401000001000000000000") + QUESTION


def fragments(payload: bytes, sizes: list[int], identification: int = 7) -> list[bytes]:
    """Return Ethernet frames: a UDP datagram to port 53 cut into pieces of these sizes."""
    datagram = struct.pack(">HHHH", 40_000, 53, 8 + len(payload), 0) + payload
    frames = []
    at = 0
    for size in [*sizes, len(datagram)]:
        piece = datagram[at : at + size]
        if not piece:
            break
        more = at + len(piece) < len(datagram)
        header = struct.pack(
            ">BBHHHBBHII", 0x45, 0, 20 + len(piece), identification, at // 8 | (0x2000 * more), 64,
            17, 0, CLIENT, SERVER,
        )  # fmt: skip
        frames.append(bytes(12) + b"\x08\x00" + header + piece)
        at += len(piece)
    return frames


def decoded(frames: list[bytes]) -> tuple[np.ndarray, Packets]:
    packets = allocate_packets(len(frames))
    data = bytearray()
    for row, frame in enumerate(frames):
        packets.packet_offset[row] = len(data)
        packets.wire_length[row] = packets.captured_length[row] = len(frame)
        packets.link_type[row] = 1
        packets.time_ns[row] = row
        data += frame
    view = np.frombuffer(bytes(data), np.uint8)
    decode(view, packets)
    return view, packets


@pytest.mark.parametrize("seed", range(6))
def test_a_datagram_in_any_order_is_named(catalogue: CompiledSignatures, seed: int) -> None:
    frames = fragments(DNS, [16, 24, 8, 40])
    random.Random(seed).shuffle(frames)
    view, packets = decoded(frames)
    assert (packets.flags & FLAG_FRAGMENT).all()
    engine = DpiAnalyzer(catalogue, flow_capacity=4)
    rows = len(frames)
    engine.update(view, packets, np.zeros(rows, np.int64), np.zeros(rows, np.uint8))
    verdicts = engine.verdicts(np.array([0]))
    assert verdicts.application == ["dns"]
    assert str(verdicts.detail[0]["query"]).startswith("a" * 63)


def test_pending_datagrams_are_bounded() -> None:
    table = FragmentTable()
    for number in range(MAX_PENDING + 20):
        view, packets = decoded(fragments(DNS, [16, 24], number)[1:2])
        table.add(view, packets, 0, 0, 0)
    assert table.dropped == 20
    assert table.flush() == []
