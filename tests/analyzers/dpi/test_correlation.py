"""Announcements: which flows others name, and for how long."""

import struct

import pytest

from fabricscope.analyzers.dpi.correlation import (
    LIFETIME_NS,
    MAX_ENTRIES,
    Announcements,
    Endpoint,
)

LOW = 0xFFFF_0000_0000
CLIENT = Endpoint(0, LOW | 0x0A000001, 40_000)
SERVER = Endpoint(0, LOW | 0x0A000002, 21)

STORED = b"\x02\x00\x00\x63\x0a\x00\x00\x09" + bytes(8)


def found(known: Announcements, low: int, port: int, transport: int = 0, opened_ns: int = 0) -> str:
    return known.find(Endpoint(0, LOW | low, port), CLIENT, transport, (0, 0), opened_ns)


@pytest.mark.parametrize(
    ("application", "message", "low", "port", "transport", "name"),
    [
        ("ftp", b"227 Entering Passive Mode (10,0,0,2,4,1).\r\n", 0x0A000002, 1_025, 0, "ftp_data"),
        ("ftp", b"229 Entering Extended Passive Mode (|||5555|)\r\n", 0x0A000002, 5_555, 0,
         "ftp_data"),
        ("ftp", b"PORT 10,0,0,9,0,99\r\n", 0x0A000009, 99, 0, "ftp_data"),
        ("sip", b"INVITE sip:a\r\n\r\nv=0\r\nc=IN IP4 10.0.0.7\r\nm=audio 6000 RTP/AVP 0\r\n",
         0x0A000007, 6_000, 1, "rtp"),
        ("rtsp", b"RTSP/1.0 200 OK\r\nTransport: RTP;client_port=7000-7001;server_port=8000\r\n",
         0x0A000002, 8_000, 1, "rtp"),
        ("c10d_store", b"\x02\x00\x90\x8f\x0a\x4d\x00\x0a" + bytes(8), 0x0A4D000A, 37_007, 0,
         "gloo"),
        ("c10d_store", (128).to_bytes(8, "little") + b"magicmag\x02\x00\x12\x34\x0a\x00\x00\x05"
         + bytes(8), 0x0A000005, 0x1234, 0, "nccl_bootstrap"),
    ],
)  # fmt: skip
def test_announced_endpoints(
    application: str, message: bytes, low: int, port: int, transport: int, name: str
) -> None:
    known = Announcements()
    known.read(application, message, SERVER, CLIENT, 0)
    assert found(known, low, port, transport) == name
    assert found(known, low, port + 7, transport) == ""


def test_portmap_reply_names_the_program() -> None:
    known = Announcements()
    call = struct.pack(">14I", 7, 0, 2, 100_000, 2, 3, 0, 0, 0, 0, 100_003, 3, 17, 0)
    reply = struct.pack(">7I", 7, 1, 0, 0, 0, 0, 2_050)
    known.read("portmap", reply, SERVER, CLIENT, 0)
    assert found(known, 0x0A000002, 2_050, 1) == ""
    known.read("portmap", call, CLIENT, SERVER, 0)
    known.read("portmap", reply, SERVER, CLIENT, 0)
    assert found(known, 0x0A000002, 2_050, 1) == "nfs"


def test_portmap_universal_address_names_the_program() -> None:
    known = Announcements()
    call = struct.pack(">13I", 8, 0, 2, 100_000, 3, 3, 0, 0, 0, 0, 100_003, 3, 3) + b"tcp\0"
    call += struct.pack(">II", 0, 0)
    text = b"10.0.0.2.8.1"
    reply = struct.pack(">7I", 8, 1, 0, 0, 0, 0, len(text)) + text
    known.read("portmap", call, CLIENT, SERVER, 0)
    known.read("portmap", reply, SERVER, CLIENT, 0)
    assert found(known, 0x0A000002, 8 << 8 | 1, 0) == "nfs"


def test_flows_keep_a_name_that_is_announced_again_later() -> None:
    known = Announcements()
    for time_ns in (0, 10 * LIFETIME_NS):
        known.read("ftp", b"PORT 10,0,0,9,0,99\r\n", SERVER, CLIENT, time_ns)
    for opened_ns in (0, 5 * LIFETIME_NS, 11 * LIFETIME_NS):
        assert found(known, 0x0A000009, 99, opened_ns=opened_ns) == "ftp_data"
    known.read("c10d_store", STORED, SERVER, CLIENT, 20 * LIFETIME_NS)
    assert found(known, 0x0A000009, 99, opened_ns=0) == ""


def test_socket_addresses_of_version_6() -> None:
    known = Announcements()
    octets = bytes.fromhex("fd000000000000010000000000000007")
    known.read("c10d_store", b"\n\0\x12\x34" + bytes(4) + octets + bytes(4), SERVER, CLIENT, 0)
    end = Endpoint(0xFD00_0000_0000_0001, 7, 0x1234)
    assert known.find(CLIENT, end, 0, (0, 0), 0) == "gloo"
    known.read("c10d_store", b"\n" + bytes(40) + b"\x20" + bytes(40), SERVER, CLIENT, 0)
    assert known.find(CLIENT, Endpoint(0, 0, 0), 0, (0, 0), 0) == ""


def test_announcements_expire_and_are_bounded() -> None:
    known = Announcements()
    known.add_endpoint(0, 0, LOW | 5, 6, "gloo")
    assert found(known, 5, 6, opened_ns=LIFETIME_NS) == "gloo"
    assert found(known, 5, 6, opened_ns=LIFETIME_NS + 1) == ""
    for port in range(MAX_ENTRIES + 10):
        known.add_endpoint(0, port >> 15, LOW, port & 0x7FFF, "gloo")
    assert known.dropped >= 10


@pytest.mark.parametrize("application", ["ftp", "sip", "rtsp", "portmap", "c10d_store", "dns"])
def test_nonsense_announces_nothing(application: str) -> None:
    known = Announcements()
    for message in (b"", b"\0" * 64, b"227 (999,1,2,3,4,5)", b"\xff" * 64, b"|" * 64):
        known.read(application, message, SERVER, CLIENT, 0)
    assert found(known, 0, 0) == ""
