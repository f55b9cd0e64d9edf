"""Packets written out header by header, so that a test sees each byte it is about."""

import struct

MACS = bytes.fromhex("0200000000b2 0200000000a1")
BTH_LAST_SEND = 0x02


def ethernet(ethertype: int, payload: bytes) -> bytes:
    return MACS + struct.pack(">H", ethertype) + payload


def ipv4(protocol: int, payload: bytes, **other: int) -> bytes:
    """Return an IPv4 packet 10.0.0.1 -> 10.0.0.2; `other`: tos, total, fragment, ttl, words."""
    words = other.get("words", 5)
    options = bytes(max(0, 4 * (words - 5)))
    head = struct.pack(
        ">BBHHHBBH4s4s",
        0x40 | words,
        other.get("tos", 0),
        other.get("total", 20 + len(options) + len(payload)),
        0x1234,
        other.get("fragment", 0),
        other.get("ttl", 64),
        protocol,
        0,
        b"\x0a\0\0\x01",
        b"\x0a\0\0\x02",
    )
    return head + options + payload


def ipv6(protocol: int, payload: bytes, length: int | None = None) -> bytes:
    """Return an IPv6 packet fd00::1 -> fd00::2 with traffic class 0x6b and flow label 0x54321."""
    size = len(payload) if length is None else length
    head = struct.pack(">IHBB", 0x66B54321, size, protocol, 61)
    return head + b"\xfd" + bytes(14) + b"\x01" + b"\xfd" + bytes(14) + b"\x02" + payload


def udp(port: int, payload: bytes, source: int = 50000) -> bytes:
    return struct.pack(">HHHH", source, port, 8 + len(payload), 0) + payload


def tcp(payload: bytes, words: int = 5) -> bytes:
    options = bytes(4 * (words - 5))
    return struct.pack(">HHIIBBHHH", 1, 2, 3, 4, words << 4, 0x18, 5, 0, 0) + options + payload


def bth(opcode: int, rest: bytes, **other: int) -> bytes:
    """Return BTH, `rest` and ICRC; `other`: bits, partition, queue, sequence."""
    head = struct.pack(
        ">BBHII",
        opcode,
        other.get("bits", 0x40),
        other.get("partition", 0xFFFF),
        other.get("queue", 0x11),
        other.get("sequence", 0x80000007),
    )
    return head + rest + b"ICRC"


def roce(opcode: int, rest: bytes, **other: int) -> bytes:
    return ethernet(0x0800, ipv4(17, udp(4791, bth(opcode, rest, **other))))
