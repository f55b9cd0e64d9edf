"""Capture files the slow and obvious way: how to write them, and what each record must read as.

Written from the format descriptions with struct and Fraction, without a look at the kernels.
"""

import struct
from fractions import Fraction
from typing import NamedTuple

PCAP_MAGICS = {
    "micro": (0xA1B2C3D4, 1_000, 16, 24),
    "nano": (0xA1B23C4D, 1, 16, 24),
    "modified": (0xA1B2CD34, 1_000, 24, 24),
    "ixia-hardware": (0x1C0001AC, 1, 16, 28),
    "ixia-software": (0x1C0001AB, 1, 16, 28),
}
ERF_LINKS = {2: 1, 11: 1, 16: 1, 20: 1, 21: 247, 22: 101, 23: 101}


class Row(NamedTuple):
    """One record as the reader must give it; `offset` is where its bytes begin in the file."""

    time_ns: int
    frame: int
    offset: int
    wire: int
    captured: int
    tap: int
    link: int


def write_pcap(
    packets: list[tuple[int, bytes, int]],
    kind: str = "micro",
    order: str = "<",
    link: int = 1,
    snap_length: int = 65_535,
) -> bytes:
    """Return a pcap file of (time_ns, bytes, wire length)."""
    magic, unit_ns, header_bytes, file_header_bytes = PCAP_MAGICS[kind]
    parts = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap_length, link)]
    parts.append(bytes(file_header_bytes - 24))
    for time_ns, data, wire in packets:
        seconds, rest = divmod(time_ns, 10**9)
        parts.append(struct.pack(order + "IIII", seconds, rest // unit_ns, len(data), wire))
        parts.append(bytes(header_bytes - 16) + data)
    return b"".join(parts)


def read_pcap(data: bytes, tap: int = 0) -> list[Row]:
    """Return the records of an undamaged pcap file, the last one perhaps cut."""
    for magic, unit_ns, header_bytes, file_header_bytes in PCAP_MAGICS.values():
        for order in "<>":
            if struct.pack(order + "I", magic) == data[:4]:
                link = struct.unpack(order + "I", data[20:24])[0] & 0xFFFF
                return _pcap_rows(data, order, unit_ns, header_bytes, file_header_bytes, link, tap)
    raise ValueError("not pcap")


def _pcap_rows(
    data: bytes, order: str, unit_ns: int, header_bytes: int, at: int, link: int, tap: int
) -> list[Row]:
    rows: list[Row] = []
    while at + header_bytes <= len(data):
        second, fraction, captured, wire = struct.unpack(order + "IIII", data[at : at + 16])
        start = at + header_bytes
        at = start + captured
        captured = min(captured, len(data) - start)
        time_ns = second * 10**9 + fraction * unit_ns
        rows.append(_row(data, time_ns, len(rows) + 1, start, wire, captured, tap, link))
    return rows


def _row(
    data: bytes, time_ns: int, frame: int, start: int, wire: int, captured: int, tap: int, link: int
) -> Row:
    if link == 197 and captured >= 16:
        time_ns = erf_time_ns(data[start : start + 8])
        skipped, link = unwrap_erf(data[start : start + captured])
        start, captured, wire = start + skipped, captured - skipped, max(wire - skipped, 0)
    return Row(time_ns, frame, start, wire, captured, tap, link)


def write_erf(kind: int, time_ns: int, data: bytes, wire: int, extensions: int = 0) -> bytes:
    """Return one ERF record, padded to a multiple of 8 bytes."""
    body = b""
    for number in range(extensions):
        body += bytes([0x80 if number + 1 < extensions else 0]) + bytes(7)
    if kind in ERF_LINKS and ERF_LINKS[kind] == 1:
        body += b"\0\0"
    body += data
    body += bytes(-len(body) % 8)
    fixed = Fraction(time_ns, 10**9) * 2**32
    head = struct.pack("<Q", round(fixed)) + struct.pack(
        ">BBHHH", kind | (0x80 if extensions else 0), 0, 16 + len(body), 0, wire
    )
    return head + body


def erf_time_ns(stamp: bytes) -> int:
    """Return the nearest nanosecond of a 32.32 fixed point timestamp."""
    exact = Fraction(int.from_bytes(stamp, "little") * 10**9, 2**32)
    return int(exact + Fraction(1, 2))


def unwrap_erf(record: bytes) -> tuple[int, int]:
    """Return how many bytes precede the packet in an ERF record, and its link type."""
    kind, more, at = record[8] & 0x7F, record[8] >> 7, 16
    if kind not in ERF_LINKS:
        return 0, 197
    while more:
        if at + 8 > len(record):
            return 0, 197
        more = record[at] >> 7
        at += 8
    at += 2 if ERF_LINKS[kind] == 1 else 0
    return (at, ERF_LINKS[kind]) if at <= len(record) else (0, 197)


def read_erf(data: bytes, tap: int = 0) -> list[Row]:
    """Return the records of an undamaged ERF file, the last one perhaps cut."""
    rows: list[Row] = []
    at = 0
    while at + 16 <= len(data):
        length, _, wire = struct.unpack(">HHH", data[at + 10 : at + 16])
        record = data[at : at + length]
        if record[8] & 0x7F != 48:
            skipped, link = unwrap_erf(record)
            captured = len(record) - skipped
            if link == 197:
                wire = max(wire, captured)
            captured = min(captured, wire)
            stamp = erf_time_ns(record[:8])
            rows.append(Row(stamp, len(rows) + 1, at + skipped, wire, captured, tap, link))
        at += length
    return rows


def write_block(kind: int, body: bytes, order: str = "<") -> bytes:
    """Return a pcapng block."""
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def write_options(options: dict[int, bytes], order: str = "<") -> bytes:
    """Return pcapng options with their end mark."""
    parts = []
    for code, value in options.items():
        parts.append(struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4))
    return b"".join(parts) + (bytes(4) if options else b"")


def write_section(order: str = "<", options: dict[int, bytes] | None = None) -> bytes:
    """Return a section header block."""
    body = struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1)
    return write_block(0x0A0D0D0A, body + write_options(options or {}, order), order)


def write_interface(
    link: int = 1, snap_length: int = 0, order: str = "<", options: dict[int, bytes] | None = None
) -> bytes:
    """Return an interface description block."""
    body = struct.pack(order + "HHI", link, 0, snap_length)
    return write_block(1, body + write_options(options or {}, order), order)


def write_enhanced(
    ticks: int, data: bytes, wire: int, interface: int = 0, order: str = "<", options: bytes = b""
) -> bytes:
    """Return an enhanced packet block."""
    head = struct.pack(order + "IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, len(data), wire)
    return write_block(6, head + data + bytes(-len(data) % 4) + options, order)


def write_obsolete(
    ticks: int, data: bytes, wire: int, interface: int = 0, order: str = "<"
) -> bytes:
    """Return an obsolete packet block."""
    head = struct.pack(
        order + "HHIIII", interface, 7, ticks >> 32, ticks & 0xFFFFFFFF, len(data), wire
    )
    return write_block(2, head + data, order)


def write_simple(data: bytes, wire: int, order: str = "<") -> bytes:
    """Return a simple packet block."""
    return write_block(3, struct.pack(order + "I", wire) + data, order)


def ticks_to_ns(ticks: int, exponent: int, binary: bool, offset_s: int) -> int | None:
    """Return nanoseconds since the epoch, rounded down, or None where int64 cannot hold them."""
    unit = Fraction(1, 2**exponent if binary else 10**exponent)
    exact = ticks * unit
    time_ns = (exact.numerator * 10**9) // exact.denominator + offset_s * 10**9
    return time_ns if -(2**63) <= time_ns < 2**63 else None


def read_pcapng(data: bytes) -> list[Row]:
    """Return the records of an undamaged pcapng file; every interface is a tap."""
    rows: list[Row] = []
    interfaces: list[tuple[int, int, int, bool, int, int]] = []
    order, at, taps, last_ns = "<", 0, 0, 0
    while at + 12 <= len(data):
        if data[at : at + 4] == b"\n\r\r\n":
            order = "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            interfaces = []
        kind, length = struct.unpack(order + "II", data[at : at + 8])
        body = data[at + 8 : at + length - 4]
        if kind == 1:
            interfaces.append((*_interface(body, order), taps))
            taps += 1
        elif kind in (2, 3, 6):
            if kind == 3:
                number, start = 0, at + 12
                wire = struct.unpack(order + "I", body[:4])[0]
                limit = interfaces[0][1] if interfaces and interfaces[0][1] else wire
                captured = min(wire, limit, len(body) - 4)
            else:
                numbers = struct.unpack(order + "IIIII", body[:20])
                number, start = numbers[0], at + 28
                captured, wire = numbers[3], numbers[4]
                if kind == 2:
                    number = struct.unpack(order + "H", body[:2])[0]
            if number < len(interfaces):
                link, _, exponent, binary, offset_s, tap = interfaces[number]
                if kind != 3:
                    ticks = numbers[1] << 32 | numbers[2]
                    time_ns = ticks_to_ns(ticks, exponent, binary, offset_s)
                    last_ns = last_ns if time_ns is None else time_ns
                rows.append(_row(data, last_ns, len(rows) + 1, start, wire, captured, tap, link))
        at += length + -length % 4
    return rows


def _interface(body: bytes, order: str) -> tuple[int, int, int, bool, int]:
    link, _, snap_length = struct.unpack(order + "HHI", body[:8])
    exponent, binary, offset_s, at = 6, False, 0, 8
    while at + 4 <= len(body):
        code, size = struct.unpack(order + "HH", body[at : at + 4])
        value = body[at + 4 : at + 4 + size]
        if code == 9:
            exponent, binary = value[0] & 0x7F, value[0] >= 0x80
        elif code == 14:
            offset_s = struct.unpack(order + "q", value)[0]
        at += 4 + size + -size % 4
    return link, snap_length, exponent, binary, offset_s
