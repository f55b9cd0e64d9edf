"""Captures to send: RoCE v2 of two frame sizes, and several captures merged by time."""

import heapq
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

__all__ = ["frames_of", "large_frames", "merge_captures", "small_frames", "write_capture"]

_HEADER: Final = struct.Struct("<IHHiIII")
_RECORD: Final = struct.Struct("<IIII")
_NANOSECOND_MAGIC: Final = 0xA1B23C4D
_SEND_ONLY, _WRITE_FIRST, _WRITE_MIDDLE, _WRITE_LAST, _ACK = 4, 6, 7, 8, 17
PAIRS: Final = 64
IN_FLIGHT: Final = 16
MESSAGE_PACKETS: Final = 8
SMALL_BYTES: Final = 64
LARGE_BYTES: Final = 1_082


def roce(opcode: int, pair: int, psn: int, size_bytes: int, rest: bytes = b"") -> bytes:
    """Return a frame of a queue pair between two of 32 hosts; ACKs go the other way."""
    ends = [bytes([10, 0, 0, 1 + pair % 16]), bytes([10, 0, 0, 17 + pair % 16])]
    back = opcode == _ACK
    source, target = ends[::-1] if back else ends
    asks = 1 << 31 if opcode in (_SEND_ONLY, _WRITE_LAST) else 0
    bth = struct.pack(">BBHII", opcode, 0x40, 0xFFFF, 100 + pair + 100 * back, psn | asks)
    length = min(size_bytes, 14 + 20 + 8 + len(bth) + len(rest) + 4 + 4 * (opcode == _SEND_ONLY))
    length = size_bytes if opcode in (_WRITE_FIRST, _WRITE_MIDDLE, _WRITE_LAST) else length
    ip = struct.pack(">BBHHHBBH", 0x45, 2, length - 14, 0, 0x4000, 64, 17, 0) + source + target
    udp = struct.pack(">HHHH", 49_152 + pair + 1_000 * back, 4_791, length - 34, 0)
    frame = bytes.fromhex("020000000b01020000000a010800") + ip + udp + bth + rest
    return frame.ljust(size_bytes, b"\0")


def small_frames(count: int) -> Iterator[bytes]:
    """Yield SENDs of 4 bytes, 16 in flight, and their ACKs, 64 bytes each."""
    for number in range(count // (2 * IN_FLIGHT)):
        pair, first = number % PAIRS, number // PAIRS * IN_FLIGHT
        for psn in range(first, first + IN_FLIGHT):
            yield roce(_SEND_ONLY, pair, psn, SMALL_BYTES)
        for psn in range(first, first + IN_FLIGHT):
            yield roce(_ACK, pair, psn, SMALL_BYTES, struct.pack(">I", 0x1F000000 | psn + 1))


def large_frames(count: int) -> Iterator[bytes]:
    """Yield WRITEs of eight packets with an MTU of 1,024 and an ACK for each."""
    made = psn = 0
    while made < count:
        for pair in range(PAIRS):
            for place in range(MESSAGE_PACKETS):
                if place == 0:
                    reth = struct.pack(">QII", 0, 7, 1_024 * MESSAGE_PACKETS)
                    yield roce(_WRITE_FIRST, pair, psn, LARGE_BYTES + 16, reth)
                else:
                    last = place == MESSAGE_PACKETS - 1
                    opcode = _WRITE_LAST if last else _WRITE_MIDDLE
                    yield roce(opcode, pair, psn + place, LARGE_BYTES)
            end = psn + MESSAGE_PACKETS
            yield roce(_ACK, pair, end - 1, SMALL_BYTES, struct.pack(">I", 0x1F000000 | end))
            made += MESSAGE_PACKETS + 1
        psn += MESSAGE_PACKETS


def write_capture(path: Path, frames: Iterable[bytes]) -> int:
    """Write frames a microsecond apart; return how many."""
    number = 0
    with path.open("wb") as file:
        file.write(_HEADER.pack(_NANOSECOND_MAGIC, 2, 4, 0, 0, 65_535, 1))
        for number, frame in enumerate(frames, 1):
            seconds, ns = divmod(number * 1_000, 1_000_000_000)
            file.write(_RECORD.pack(1_750_000_000 + seconds, ns, len(frame), len(frame)) + frame)
    return number


def _records(path: Path) -> Iterator[tuple[int, int, bytes]]:
    data = path.read_bytes()
    at = _HEADER.size
    while at < len(data):
        seconds, part, captured, _ = _RECORD.unpack_from(data, at)
        end = at + _RECORD.size + captured
        yield seconds, part, data[at:end]
        at = end


def frames_of(path: Path) -> Iterator[bytes]:
    """Yield the frames of a little-endian pcap file."""
    for _, _, record in _records(path):
        yield record[_RECORD.size :]


def merge_captures(paths: Iterable[Path], out: Path) -> None:
    """Write the packets of little-endian pcap files of one kind in order of time."""
    paths = list(paths)
    header = paths[0].read_bytes()[: _HEADER.size]
    with out.open("wb") as file:
        file.write(header)
        for _, _, record in heapq.merge(*map(_records, paths)):
            file.write(record)
