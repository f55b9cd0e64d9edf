"""Slow twin of the traffic generator's frame writer and counters: reads the files it wrote.

Written from the header descriptions in the reference, without a look at the generator: it finds
the RoCE packet in a frame, recomputes checksums and ICRC, and counts flows one packet at a time.
"""

import gzip
import struct
import zlib
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple


class Frame(NamedTuple):
    time_ns: int
    wire_length: int
    data: bytes


class Roce(NamedTuple):
    src: bytes
    dst: bytes
    ecn: int
    dscp: int
    ip_id: int
    opcode: int
    dest_qp: int
    psn: int
    ack_request: bool
    syndrome: int
    payload_bytes: int
    icrc_fits: bool | None


def read_frames(path: Path) -> list[Frame]:
    raw = path.read_bytes()
    if path.suffix == ".gz":
        raw = gzip.decompress(raw)
    assert struct.unpack_from("<I", raw)[0] == 0xA1B23C4D
    position, frames = 24, []
    while position < len(raw):
        seconds, nanos, captured, wire = struct.unpack_from("<IIII", raw, position)
        position += 16
        frames.append(Frame(seconds * 10**9 + nanos, wire, raw[position : position + captured]))
        position += captured
    assert position == len(raw)
    return frames


def checksum_fits(header: bytes) -> bool:
    total = sum(struct.unpack(f">{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total == 0xFFFF


def icrc_of(packet: bytes, kind: str) -> int:
    """ICRC over a packet from its network header to before the ICRC; kind v4, v6 or grh."""
    masked = bytearray(packet)
    if kind == "v4":
        ones = [1, 8, 10, 11, 26, 27, 32]
    elif kind == "v6":
        ones = [1, 2, 3, 7, 46, 47, 52]
        masked[0] |= 0x0F
    else:
        ones = [1, 2, 3, 7, 44]
        masked[0] |= 0x0F
    for position in ones:
        masked[position] = 0xFF
    return zlib.crc32(b"\xff" * 8 + bytes(masked))


def find_roce(frame: Frame) -> Roce | None:
    """Follow the headers of a frame down to RoCE; None when there is none."""
    return _ethernet(frame.data, 0, frame.wire_length)


def _ethernet(data: bytes, at: int, wire: int) -> Roce | None:
    kind = data[at + 12 : at + 14]
    at += 14
    while kind == b"\x81\x00":
        kind = data[at + 2 : at + 4]
        at += 4
    return _by_ethertype(data, at, wire, kind)


def _by_ethertype(data: bytes, at: int, wire: int, kind: bytes) -> Roce | None:
    if kind == b"\x08\x00":
        assert checksum_fits(data[at : at + 20])
        assert struct.unpack_from(">H", data, at + 2)[0] == wire - at
        return _by_protocol(data, at, at + 20, wire, data[at + 9], "v4")
    if kind == b"\x86\xdd":
        assert struct.unpack_from(">H", data, at + 4)[0] == wire - at - 40
        return _by_protocol(data, at, at + 40, wire, data[at + 6], "v6")
    if kind == b"\x89\x15":
        assert data[at + 6] == 0x1B
        assert struct.unpack_from(">H", data, at + 4)[0] == wire - at - 40
        return _bth(data, at, at + 40, wire, "grh")
    return None


def _by_protocol(
    data: bytes, network: int, at: int, wire: int, protocol: int, kind: str
) -> Roce | None:
    if protocol == 17:
        port, length = struct.unpack_from(">HH", data, at + 2)
        assert length == wire - at
        if port == 4789:
            return _ethernet(data, at + 16, wire)
        return _bth(data, network, at + 8, wire, kind) if port == 4791 else None
    if protocol == 47:
        flags, inner = struct.unpack_from(">HH", data, at)
        at += 4 + (4 if flags & 0x2000 else 0) + (4 if flags & 0x1000 else 0)
        if inner == 0x88BE:
            return _ethernet(data, at + (8 if flags & 0x1000 else 0), wire)
        if inner == 0x22EB:
            return _ethernet(data, at + 12, wire)
        if inner == 0x6558:
            return _ethernet(data, at, wire)
        return _by_ethertype(data, at, wire, struct.pack(">H", inner))
    return None


def _bth(data: bytes, network: int, at: int, wire: int, kind: str) -> Roce:
    opcode, bits = data[at], data[at + 1]
    operation = opcode & 31
    size = 12
    if opcode == 0x81:
        size += 16
    else:
        size += 8 if opcode >> 5 == 3 else 0
        size += {6: 16, 10: 16, 11: 20, 12: 16, 3: 4, 5: 4, 9: 4, 13: 4, 15: 4, 16: 4, 17: 4,
                 18: 12, 19: 28, 20: 28}.get(operation, 0)  # fmt: skip
    syndrome = data[at + 12] if operation in (13, 15, 16, 17, 18) and opcode < 32 else -1
    end = wire - 4
    fits = None
    if len(data) == wire:
        fits = icrc_of(data[network:end], kind) == struct.unpack_from("<I", data, end)[0]
    if kind == "v4":
        tos, ip_id = data[network + 1], struct.unpack_from(">H", data, network + 4)[0]
        src, dst = data[network + 12 : network + 16], data[network + 16 : network + 20]
    else:
        tos, ip_id = (struct.unpack_from(">H", data, network)[0] >> 4) & 0xFF, 0
        src, dst = data[network + 8 : network + 24], data[network + 24 : network + 40]
    return Roce(
        src, dst, tos & 3, tos >> 2, ip_id, opcode, int.from_bytes(data[at + 5 : at + 8], "big"),
        int.from_bytes(data[at + 9 : at + 12], "big"), bool(data[at + 8] & 0x80), syndrome,
        end - at - size - (bits >> 4 & 3), fits,
    )  # fmt: skip


def count_flows(packets: list[Roce]) -> dict[tuple[bytes, bytes, int], dict[str, Any]]:
    """Count as a tap that knows no truth would; answers stand with their own direction."""
    flows: dict[tuple[bytes, bytes, int], dict[str, Any]] = defaultdict(
        lambda: defaultdict(int, seen=set(), highest=None)
    )
    for packet in packets:
        flow = flows[packet.src, packet.dst, packet.dest_qp]
        flow["packets"] += 1
        operation = packet.opcode & 31
        if packet.opcode == 0x81:
            flow["cnps_sent"] += 1
            continue
        if operation == 17:
            name = {0x60: "naks_sent", 0x62: "naks_sent"}.get(packet.syndrome, "acks_sent")
            flow["rnr_naks_sent" if 0x20 <= packet.syndrome < 0x40 else name] += 1
            continue
        flow["data_packets"] += 1
        flow["ce"] += packet.ecn == 3
        flow["ecn_capable"] += packet.ecn > 0
        if packet.psn in flow["seen"]:
            flow["retransmissions"] += 1
            continue
        flow["seen"].add(packet.psn)
        flow["payload_bytes"] += packet.payload_bytes
        if flow["highest"] is not None and ((packet.psn - flow["highest"]) & 0xFFFFFF) >= 1 << 23:
            flow["reordered"] += 1
        else:
            flow["highest"] = packet.psn
    return flows
