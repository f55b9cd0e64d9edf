"""RoCE v2, RoCE v1 and InfiniBand, header by header."""

import struct
from collections.abc import Callable

import pytest

from fabricscope.records import (
    FLAG_HEADER_CUT,
    FLAG_MALFORMED,
    FLAG_TRUNCATED,
    RDMA_ACK_REQUEST,
    RDMA_BECN,
    RDMA_FECN,
    RDMA_HAS_AETH,
    RDMA_MIGRATION,
    RDMA_SOLICITED,
)
from reference import frames

RETH = struct.pack(">QII", 0x7F00_1122_3344_5566, 0xABCD, 65536)
AETH = bytes.fromhex("60 000123")
DETH = struct.pack(">II", 0x11111111, 0x77)
RDETH = XRCETH = bytes(4)
IMM = bytes.fromhex("00002000")
ATOMIC = struct.pack(">QIQQ", 0x1000, 1, 2, 3)


@pytest.mark.parametrize(
    ("opcode", "headers", "columns"),
    [
        (0x06, RETH, {"remote_address": 0x7F00_1122_3344_5566, "dma_length": 65536}),
        (0x0B, RETH + IMM, {"dma_length": 65536, "immediate": 0x2000}),
        (0x09, IMM, {"immediate": 0x2000}),
        (0x0C, RETH, {"dma_length": 65536}),
        (0x10, AETH, {"aeth": 0x60000123}),
        (0x12, AETH + bytes(8), {"aeth": 0x60000123}),
        (0x13, ATOMIC, {"remote_address": 0x1000}),
        (0x16, IMM, {"immediate": 0x2000}),
        (0x24, b"", {}),
        (0x2A, RETH, {"dma_length": 65536}),
        (0x65, DETH + IMM, {"source_qp": 0x77, "immediate": 0x2000}),
        (0x4A, RDETH + DETH + RETH, {"source_qp": 0x77, "dma_length": 65536}),
        (0x51, RDETH + AETH, {"aeth": 0x60000123}),
        (0xAB, XRCETH + RETH + IMM, {"dma_length": 65536, "immediate": 0x2000}),
        (0xB1, AETH, {"aeth": 0x60000123}),
        (0x81, bytes(16), {}),
    ],
)
def test_extension_headers(
    row: Callable, protocol_of: Callable, opcode: int, headers: bytes, columns: dict[str, int]
) -> None:
    got = row(frames.roce(opcode, headers + b"payload!"))
    assert protocol_of(got) == "roce_v2"
    assert (got["opcode"], got["dest_qp"], got["psn"], got["flags"]) == (opcode, 0x11, 7, 0)
    assert (got["payload_offset"], got["payload_length"]) == (54 + len(headers), 8)
    read = ("remote_address", "dma_length", "immediate", "aeth", "source_qp")
    wanted = {name: columns.get(name, got[name] if columns else 0) for name in read}
    assert {name: got[name] for name in read} == wanted
    assert bool(got["rdma_flags"] & RDMA_HAS_AETH) == ("aeth" in columns)


def test_bits_and_padding(row: Callable) -> None:
    packet = frames.roce(4, b"abc\0", bits=0xD0, queue=0xC0_000011, sequence=0x00_FFFFFF)
    got = row(packet)
    flags = RDMA_SOLICITED | RDMA_MIGRATION | RDMA_FECN | RDMA_BECN | 1 << 5
    assert (got["rdma_flags"], got["payload_length"], got["psn"]) == (flags, 3, 0xFFFFFF)
    assert row(frames.roce(4, b""))["rdma_flags"] == RDMA_MIGRATION | RDMA_ACK_REQUEST


@pytest.mark.parametrize(
    "other",
    [
        {"bits": 0x41},
        {"partition": 0x1234, "queue": 0x01_000011},
        {"partition": 0x1234, "sequence": 0x01_000011},
    ],
)
def test_the_port_alone_is_not_believed(
    row: Callable, protocol_of: Callable, other: dict[str, int]
) -> None:
    got = row(frames.roce(4, b"data", **other))
    assert (protocol_of(got), got["opcode"], got["payload_offset"]) == ("udp", 0, 42)


@pytest.mark.parametrize("other", [{"partition": 0x1234}, {"queue": 0x3F_000011}])
def test_own_partitions_and_reserved_bits_are_rdma(
    row: Callable, protocol_of: Callable, other: dict[str, int]
) -> None:
    assert protocol_of(row(frames.roce(4, b"data", **other))) == "roce_v2"


@pytest.mark.parametrize("opcode", [0x15, 0x18, 0x2C, 0x60, 0x80, 0x82, 0xC0, 0xFF])
def test_unknown_operations_are_plain_udp(
    row: Callable, protocol_of: Callable, opcode: int
) -> None:
    assert protocol_of(row(frames.roce(opcode, bytes(40)))) == "udp"


def test_the_source_port_does_not_decide(row: Callable, protocol_of: Callable) -> None:
    body = frames.bth(4, b"data")
    reply = frames.ethernet(0x0800, frames.ipv4(17, frames.udp(50000, body, source=4791)))
    assert protocol_of(row(reply)) == "udp"
    tftp = frames.ethernet(0x0800, frames.ipv4(17, frames.udp(4791, body, source=69)))
    assert (protocol_of(row(tftp)), row(tftp)["src_port"]) == ("roce_v2", 69)


def test_a_cut_header_keeps_the_payload_length(row: Callable) -> None:
    packet = frames.roce(0x06, RETH + bytes(1024))
    got = row(packet[:64], len(packet))
    assert got["flags"] == FLAG_TRUNCATED | FLAG_HEADER_CUT
    assert (got["opcode"], got["psn"], got["dma_length"]) == (6, 7, 0)
    assert (got["payload_offset"], got["payload_length"]) == (64, 1024)


def test_no_room_for_the_checksum(row: Callable, protocol_of: Callable) -> None:
    packet = frames.ethernet(0x0800, frames.ipv4(17, frames.udp(4791, frames.bth(4, b"")[:-4])))
    got = row(packet)
    assert (protocol_of(got), got["flags"], got["payload_length"]) == ("roce_v2", FLAG_MALFORMED, 0)


def global_route(payload: bytes) -> bytes:
    return frames.ipv6(0x1B, payload)


def test_roce_v1(row: Callable, protocol_of: Callable) -> None:
    got = row(frames.ethernet(0x8915, global_route(frames.bth(0x0A, RETH + bytes(8)))))
    assert (protocol_of(got), got["opcode"], got["dma_length"]) == ("roce_v1", 0x0A, 65536)
    assert (got["src_lo"], got["dst_lo"], got["src_port"], got["ip_protocol"]) == (1, 2, 0, 0)
    assert (got["ecn"], got["ttl"], got["payload_length"], got["flags"]) == (3, 61, 8, 0)


@pytest.mark.parametrize(
    ("next_header", "inner", "protocol", "source"),
    [
        (2, frames.bth(4, bytes(8)), "infiniband", 0x22),
        (3, global_route(frames.bth(4, bytes(8))), "infiniband", 1),
        (1, frames.ipv6(17, frames.udp(7, bytes(8))), "udp", 1),
        (0, bytes.fromhex("0000 86dd") + frames.ipv6(17, frames.udp(7, bytes(8))), "udp", 1),
    ],
)
def test_infiniband(
    row: Callable,
    protocol_of: Callable,
    next_header: int,
    inner: bytes,
    protocol: str,
    source: int,
) -> None:
    words = (8 + len(inner)) // 4
    packet = struct.pack(">BBHHH", 0, next_header, 0x33, words, 0x22) + inner + b"vc"
    got = row(packet, link_type=247)
    assert (protocol_of(got), got["src_lo"], got["payload_length"]) == (protocol, source, 8)
    assert got["flags"] == 0
