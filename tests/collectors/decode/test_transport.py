"""TCP, UDP and SCTP."""

from collections.abc import Callable

from fabricscope.records import FLAG_FRAGMENT, FLAG_MALFORMED
from reference import frames


def test_tcp(row: Callable, protocol_of: Callable) -> None:
    got = row(frames.ethernet(0x0800, frames.ipv4(6, frames.tcp(b"hello", words=8))))
    assert protocol_of(got) == "tcp"
    assert (got["src_port"], got["dst_port"], got["tcp_flags"]) == (1, 2, 0x18)
    assert (got["tcp_seq"], got["tcp_ack"]) == (3, 4)
    assert (got["payload_offset"], got["payload_length"]) == (14 + 20 + 32, 5)


def test_tcp_with_a_short_header(row: Callable) -> None:
    packet = bytearray(frames.ethernet(0x0800, frames.ipv4(6, frames.tcp(b"hello"))))
    packet[14 + 20 + 12] = 0x40
    got = row(bytes(packet))
    assert (got["flags"], got["dst_port"], got["tcp_seq"]) == (FLAG_MALFORMED, 2, 3)


def test_sctp(row: Callable, protocol_of: Callable) -> None:
    got = row(frames.ethernet(0x0800, frames.ipv4(132, bytes.fromhex("0b59 0b5a") + bytes(20))))
    assert protocol_of(got) == "sctp"
    assert (got["src_port"], got["dst_port"], got["payload_length"]) == (2905, 2906, 12)


def test_udp_lengths(row: Callable) -> None:
    def with_length(length: int, **other: int) -> dict[str, int]:
        body = bytearray(frames.udp(7, bytes(20)))
        body[4:6] = length.to_bytes(2, "big")
        return row(frames.ethernet(0x0800, frames.ipv4(17, bytes(body), **other)))

    assert (with_length(18)["payload_length"], with_length(18)["flags"]) == (10, 0)
    assert (with_length(0)["payload_length"], with_length(0)["flags"]) == (20, 0)
    assert (with_length(900)["payload_length"], with_length(900)["flags"]) == (20, FLAG_MALFORMED)
    assert with_length(7)["flags"] == FLAG_MALFORMED
    # The length of a fragmented datagram counts all its fragments.
    assert with_length(900, fragment=0x2000)["flags"] == FLAG_FRAGMENT
