"""What a mirror tunnel carries, the slow and obvious way; twin of collectors/mirror/kernels.py."""

import ipaddress
import struct
from typing import NamedTuple


class Mirrored(NamedTuple):
    """A mirrored frame: what tells its tap apart, where it begins and ends, and what it is."""

    kind: str
    session: int
    switch: str
    begin: int
    end: int
    raw_ip: bool
    wire_length: int


def unwrap(frame: bytes, wire_length: int, wanted: set[str]) -> Mirrored | None:
    """Return what an Ethernet frame mirrors; None when it is no whole mirror of a wanted kind."""
    try:
        return _unwrap(frame, wire_length, wanted)
    except (struct.error, IndexError):
        return None


def _u16(data: bytes, at: int) -> int:
    return int(struct.unpack_from(">H", data, at)[0])


def _network(frame: bytes, at: int = 0) -> tuple[int, int]:
    kind = _u16(frame, at + 12)
    at += 14
    for _ in range(2):
        if kind in (0x8100, 0x88A8) and len(frame) >= at + 4:
            kind, at = _u16(frame, at + 2), at + 4
    return kind, at


def _unwrap(frame: bytes, wire_length: int, wanted: set[str]) -> Mirrored | None:
    kind, at = _network(frame)
    if kind == 0x0800 and frame[at] >> 4 == 4 and len(frame) >= at + 20:
        if _u16(frame, at + 6) & 0x3FFF:
            return None
        total = _u16(frame, at + 2) or wire_length - at
        ends, protocol = at + total, frame[at + 9]
        switch = str(ipaddress.IPv4Address(frame[at + 12 : at + 16]))
        at += 4 * (frame[at] & 15)
    elif kind == 0x86DD and frame[at] >> 4 == 6 and len(frame) >= at + 40:
        ends, protocol = at + 40 + _u16(frame, at + 4), frame[at + 6]
        switch = str(ipaddress.IPv6Address(frame[at + 8 : at + 24]))
        at += 40
        if protocol == 60 and len(frame) >= at + 8:
            protocol, at = frame[at], at + 8 + 8 * frame[at + 1]
    else:
        return None
    wire_end = min(ends, wire_length)
    frame = frame[: max(wire_end, 0)]
    raw_ip = False
    if protocol == 47:
        flags, inner = _u16(frame, at), _u16(frame, at + 2)
        if flags & 0x4007:
            return None
        at += 8 if flags & 0x8000 else 4
        key = struct.unpack_from(">I", frame, at)[0] if flags & 0x2000 else 0
        at += 4 * bool(flags & 0x2000) + 4 * bool(flags & 0x1000)
        if inner in (0x6558, 0x0800, 0x86DD):
            name, session, raw_ip = "gre", key, inner != 0x6558
        elif inner == 0x88BE:
            name, session = "erspan", 0
            if flags & 0x1000:
                frame[at + 7]
                session, at = _u16(frame, at + 2) & 0x3FF, at + 8
        elif inner == 0x22EB:
            name, session, tail = "erspan", _u16(frame, at + 2) & 0x3FF, _u16(frame, at + 10)
            if tail >> 10 & 31 not in (0, 2):
                return None
            raw_ip = tail >> 10 & 31 == 2
            at += 20 if tail & 1 else 12
        else:
            return None
    elif protocol == 17 and _u16(frame, at + 2) == 4789 and frame[at + 8] & 8:
        name, session = "vxlan", int.from_bytes(frame[at + 12 : at + 15], "big")
        frame[at + 15]
        at += 16
    else:
        return None
    if name not in wanted or at + 14 > len(frame):
        return None
    stated = _stated(frame, at, raw_ip)
    wire = max(wire_end - at, stated if stated < 16_384 else 0)
    return Mirrored(name, session, switch, at, len(frame), raw_ip, wire)


def _stated(frame: bytes, at: int, raw_ip: bool) -> int:
    """Return the frame's length by its IP header, 0 if it has none or says 0."""
    if raw_ip:
        kind, network = (0x0800 if frame[at] >> 4 == 4 else 0x86DD), at
    else:
        kind, network = _network(frame, at)
    try:
        if kind == 0x0800:
            length = _u16(frame, network + 2)
            return network - at + length if length else 0
        if kind == 0x86DD:
            return network - at + 40 + _u16(frame, network + 4)
    except struct.error:
        pass
    return 0
