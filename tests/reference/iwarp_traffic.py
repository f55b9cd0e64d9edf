"""Makes iWARP byte streams and the batches that carry them, and runs the analyzer on them."""

import random
import struct

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.iwarp.kernels import TCP
from fabricscope.analyzers.iwarp.session import IwarpAnalyzer, IwarpResult
from fabricscope.records import Packets, allocate_packets
from reference.iwarp import Segment, Stream, crc32c

FIELDS = (
    "ulpdu_bytes",
    "tagged",
    "last",
    "opcode",
    "queue",
    "msn",
    "message_offset",
    "stag",
    "tagged_offset",
)

Batch = tuple[NDArray[np.uint8], Packets, NDArray[np.int64], NDArray[np.uint8]]


def start_frame(
    kind: str,
    markers: int = 0,
    crc: int = 0,
    reject: int = 0,
    private: bytes = b"",
    revision: int = 1,
) -> bytes:
    flags = markers << 7 | crc << 6 | reject << 5 | (0x10 if revision == 2 else 0)
    return (
        b"MPA ID %s Frame" % kind.encode()
        + struct.pack(">BBH", flags, revision, len(private))
        + private
    )


def untagged(
    opcode: int, payload: bytes, msn: int = 1, offset: int = 0, last: int = 1, queue: int = 0
) -> bytes:
    control = last << 6 | 1
    return struct.pack(">BBIIII", control, 0x40 | opcode, 0, queue, msn, offset) + payload


def tagged(opcode: int, payload: bytes, stag: int = 7, offset: int = 0, last: int = 1) -> bytes:
    return struct.pack(">BBIQ", 0x81 | last << 6, 0x40 | opcode, stag, offset) + payload


def read_request(sink: int, offset: int, size: int, msn: int = 1) -> bytes:
    header = struct.pack(">IQIIQ", sink, offset, size, 99, 0x5000)
    return untagged(1, header, msn=msn, queue=1)


def terminate(layer: int, kind: int, code: int) -> bytes:
    return untagged(7, struct.pack(">I", layer << 28 | kind << 24 | code << 16), queue=2)


class Framer:
    """Turns ULPDUs into the stream of one direction, with markers and CRC as asked."""

    def __init__(self, markers: bool, crc: bool) -> None:
        self.markers = markers
        self.crc = crc
        self.position = 0

    def fpdu(self, ulpdu: bytes) -> bytes:
        body = struct.pack(">H", len(ulpdu)) + ulpdu
        body += bytes(-len(body) % 4)
        wire = bytearray()
        begin = None
        for word in range(0, len(body) + 4, 4):
            if self.markers and self.position % 512 == 0:
                back = 0 if begin is None else self.position - begin
                wire += struct.pack(">HH", 0, back)
                self.position += 4
            if begin is None:
                begin = self.position
            if word < len(body):
                wire += body[word : word + 4]
            else:
                value = crc32c(bytes(wire)) if self.crc else 0
                wire += value.to_bytes(4, "little")
            self.position += 4
        return bytes(wire)


def random_ulpdus(rng: random.Random, count: int) -> list[bytes]:
    ulpdus = []
    for k in range(count):
        payload = rng.randbytes(rng.choice((0, 1, 3, 24, 100, 700, 1400)))
        choice = rng.randrange(6)
        if choice == 0:
            ulpdus.append(read_request(7, k * 4096, 10, msn=k + 1))
        elif choice == 1:
            ulpdus.append(b"")
        elif choice == 2:
            ulpdus.append(tagged(0, payload, offset=1 << 63, last=rng.randrange(2)))
        elif choice == 3:
            ulpdus.append(tagged(2, payload, offset=k * 4096))
        else:
            ulpdus.append(untagged(rng.choice((3, 4, 5, 6)), payload, msn=k + 1))
    return ulpdus


def connection(
    markers: tuple[int, int] = (0, 0),
    crc: tuple[int, int] = (0, 0),
    ulpdus: tuple[list[bytes], list[bytes]] = ([], []),
    sequences: tuple[int, int] = (1000, 5000),
) -> list[Segment]:
    """Return a connection whose FPDUs each have a segment; side 0 is the initiator."""
    frames = (
        start_frame("Req", markers[0], crc[0], private=b"hello"),
        start_frame("Rep", markers[1], crc[1]),
    )
    segments = [Segment(side, sequences[side], frames[side]) for side in (0, 1)]
    place = [sequences[side] + len(frames[side]) for side in (0, 1)]
    framers = [Framer(bool(markers[1 - side]), bool(crc[0] or crc[1])) for side in (0, 1)]
    for k in range(max(len(ulpdus[0]), len(ulpdus[1]))):
        for side in (0, 1):
            if k < len(ulpdus[side]):
                payload = framers[side].fpdu(ulpdus[side][k])
                segments.append(Segment(side, place[side] % 2**32, payload))
                place[side] += len(payload)
    for k, segment in enumerate(segments):
        segment.time_ns = 1_000_000 + 1000 * k
    return segments


def recut(segments: list[Segment], rng: random.Random) -> list[Segment]:
    """Return the same bytes in segments of random sizes; start frames keep theirs."""
    result = segments[:2]
    for side in (0, 1):
        mine = [s for s in segments[2:] if s.side == side]
        if not mine:
            continue
        stream = b"".join(s.payload for s in mine)
        place = 0
        while place < len(stream):
            size = rng.choice((1, 2, 3, 5, 17, 40, 536, 1460, 9000))
            sequence = (mine[0].sequence + place) % 2**32
            result.append(Segment(side, sequence, stream[place : place + size]))
            place += size
    for k, segment in enumerate(result):
        segment.time_ns = 1_000_000 + 1000 * k
    return result


def batch(segments: list[Segment], flow: int = 3, first_frame: int = 1) -> Batch:
    """Return the segments as the rows of one decoded batch, and their flow columns."""
    packets = allocate_packets(max(len(segments), 1))
    packets = Packets(*(column[: len(segments)] for column in packets))
    data = bytearray()
    for row, segment in enumerate(segments):
        captured = segment.payload[: segment.captured]
        packets.time_ns[row] = segment.time_ns
        packets.frame[row] = first_frame + row
        packets.packet_offset[row] = len(data)
        packets.captured_length[row] = 54 + len(captured)
        packets.wire_length[row] = 54 + len(segment.payload)
        packets.payload_offset[row] = len(data) + 54
        packets.payload_length[row] = len(segment.payload)
        packets.protocol[row] = TCP
        packets.tcp_seq[row] = segment.sequence
        packets.tcp_flags[row] = segment.flags
        packets.src_lo[row] = 0xFFFF0A000001 + segment.side
        packets.dst_lo[row] = 0xFFFF0A000002 - segment.side
        packets.src_port[row] = (40000, 4210)[segment.side]
        packets.dst_port[row] = (4210, 40000)[segment.side]
        data += bytes(54) + captured
    view = np.frombuffer(bytes(data), np.uint8)
    sides = np.array([s.side for s in segments], np.uint8)
    return view, packets, np.full(len(segments), flow, np.int64), sides


def run(segments: list[Segment], rows: int = 10_000) -> tuple[IwarpAnalyzer, IwarpResult]:
    analyzer = IwarpAnalyzer(logged_fpdus=2000)
    for first in range(0, len(segments), rows):
        part = segments[first : first + rows]
        analyzer.update(*batch(part, first_frame=first + 1))
    return analyzer, analyzer.finish()


def compare(analyzer: IwarpAnalyzer, twin: tuple[Stream, Stream]) -> None:
    log = analyzer.fpdus().rows(named=True)
    for side in (0, 1):
        mine = [row for row in log if row["stream"] % 2 == side]
        assert len(mine) == len(twin[side].fpdus)
        for row, fpdu in zip(mine, twin[side].fpdus, strict=True):
            for name in FIELDS:
                assert row[name] == getattr(fpdu, name), (name, row, fpdu)
            assert row["crc"] == (None if fpdu.crc_ok is None else int(fpdu.crc_ok)), (row, fpdu)


def random_connection(rng: random.Random) -> list[Segment]:
    markers = (rng.randrange(2), rng.randrange(2))
    crc = (rng.randrange(2), rng.randrange(2))
    ulpdus = (
        random_ulpdus(rng, rng.randrange(12)),
        random_ulpdus(rng, rng.randrange(12)),
    )
    return connection(markers, crc, ulpdus, (rng.choice((5, 2**32 - 900)), 77))


def ended(flags: int, side: int, segments: list[Segment]) -> list[Segment]:
    mine = [s for s in segments if s.side == side]
    sequence = mine[-1].sequence + len(mine[-1].payload) if mine else 0
    return [*segments, Segment(side, sequence, b"", flags=flags, time_ns=9_000_000)]
