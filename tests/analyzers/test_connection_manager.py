"""The connection tracker: outcomes, repetition, bounds, and real exchanges."""

import random
from pathlib import Path

import pytest

from fabricscope.analyzers.connection_manager import ConnectionTracker, Direction
from reference import mads

A, B = "10.0.0.1", "10.0.0.2"
FORWARD, BACKWARD = Direction(A, B, 0x20), Direction(B, A, 0x10)
REQUEST = (A, B, mads.request(1, 0x10))
REPLY = (B, A, mads.reply(9, 1, 0x20))
READY = (A, B, mads.simple(0x14, 1, 9))
CLOSE = (B, A, mads.simple(0x15, 9, 1, b"\0\0\x10\0"))
CLOSED = (A, B, mads.simple(0x16, 1, 9))
REFUSE = (B, A, mads.reject(0, 1, 28))
GIVE_UP = (A, B, mads.reject(1, 0, 4))


def track(*messages: tuple[str, str, bytes]) -> ConnectionTracker:
    tracker = ConnectionTracker()
    for number, (src, dst, payload) in enumerate(messages, 1):
        assert tracker.observe(1000 * number, number, src, dst, payload) is not None
    return tracker


@pytest.mark.parametrize(
    ("messages", "state", "outcome"),
    [
        ([REQUEST], "requested", "no answer"),
        ([REQUEST, REQUEST], "requested", "no answer"),
        ([REQUEST, REPLY], "replied", "not completed"),
        ([REQUEST, REFUSE], "rejected", "refused"),
        ([REQUEST, GIVE_UP], "rejected", "refused"),
        ([REQUEST, REPLY, READY], "established", "established"),
        ([REQUEST, READY], "established", "established"),
        ([REQUEST, REPLY, READY, CLOSE], "disconnecting", "closed"),
        ([REQUEST, REPLY, READY, CLOSE, CLOSED], "disconnected", "closed"),
        ([REQUEST, REPLY, READY, CLOSE, CLOSED, CLOSED, REPLY], "disconnected", "closed"),
    ],
)
def test_outcomes(messages: list[tuple[str, str, bytes]], state: str, outcome: str) -> None:
    tracker = track(*messages)
    (connection,) = tracker.connections()
    assert (connection.state, connection.outcome()) == (state, outcome)
    assert connection.frames == list(range(1, len(messages) + 1))
    assert tracker.unmatched == 0


def test_reason_names_who_refused() -> None:
    assert track(REQUEST, REFUSE).connections()[0].reason == "consumer reject, by the responder"
    assert track(REQUEST, GIVE_UP).connections()[0].reason == "timeout, by the initiator"


def test_times_pairs_and_unused_connections() -> None:
    tracker = track(REQUEST, REPLY, READY, CLOSE, CLOSED)
    (connection,) = tracker.connections()
    times = (connection.requested_ns, connection.replied_ns, connection.established_ns)
    assert (*times, connection.disconnected_ns) == (1000, 2000, 3000, 4000)
    assert tracker.pairs() == {FORWARD: BACKWARD, BACKWARD: FORWARD}
    assert connection.outcome(set()) == "closed before data"
    assert connection.outcome({BACKWARD}) == "closed"
    assert track(REQUEST, REFUSE).pairs() == {}


def test_repetition_and_reuse_of_an_id() -> None:
    assert track(REQUEST, REQUEST, REQUEST).connections()[0].retries == 2
    later = (A, B, mads.request(1, 0x11, transaction=0x9999))
    tracker = track(REQUEST, REPLY, READY, CLOSE, CLOSED, later, (B, A, mads.reply(10, 1, 0x21)))
    first, second = tracker.connections()
    assert (first.state, second.state) == ("disconnected", "replied")
    assert second.directions() == (Direction(A, B, 0x21), Direction(B, A, 0x11))


def test_messages_without_their_request_are_counted() -> None:
    tracker = track(REPLY, READY, CLOSE, (A, B, mads.mad(1, b"", management_class=3)))
    assert (tracker.unmatched, tracker.other_mads, tracker.connections()) == (3, 1, [])


def test_datagram_service() -> None:
    request = (A, B, mads.mad(0x17, (5).to_bytes(4, "big")))
    good, bad = (mads.sidr_reply(5, status, 0x77) for status in (0, 3))
    assert track(request, (B, A, good)).connections()[0].state == "established"
    connection = track(request, (B, A, bad)).connections()[0]
    assert (connection.outcome(), connection.reason) == (
        "refused",
        "no queue pair available, by the responder",
    )


def test_bound() -> None:
    tracker = ConnectionTracker(max_connections=10)
    for k in range(100):
        tracker.observe(k, k, A, B, mads.request(k, k, transaction=k))
        tracker.observe(k, k, B, A, mads.reply(1000 + k, k, k))
    assert len(tracker.connections()) == 10
    assert tracker.evicted == 90
    assert len(tracker._by_end) == 20
    tracker.observe(0, 0, B, A, mads.reply(1000, 0, 0))
    assert tracker.unmatched == 1


def test_nonsense_never_breaks_it() -> None:
    rng = random.Random(3)
    tracker = ConnectionTracker(max_connections=20)
    for k in range(4000):
        src, dst, payload = rng.choice((REQUEST, REPLY, READY, CLOSE, CLOSED, REFUSE, GIVE_UP))
        data = bytearray(payload)
        for _ in range(rng.randrange(3)):
            data[rng.randrange(60)] = rng.randrange(256)
        tracker.observe(k, k, src, dst, bytes(data[: rng.choice((256, rng.randrange(257)))]))
        for connection in tracker.connections()[-1:]:
            assert connection.outcome(set())
    assert len(tracker.connections()) <= 20
    assert len(tracker._by_end) <= 40


def datagrams(path: Path) -> list[tuple[int, int, str, str, bytes]]:
    from scapy.all import IP, UDP, rdpcap

    found = []
    for number, packet in enumerate(rdpcap(str(path)), 1):
        if UDP not in packet or packet[UDP].dport != 4791:
            continue
        datagram = bytes(packet[UDP])[8 : packet[UDP].len - 4]
        if datagram[0] == 0x64 and datagram[5:8] == b"\0\0\1":
            ends = packet[IP].src, packet[IP].dst
            found.append((int(packet.time * 10**9), number, *ends, datagram[20:]))
    return found


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("linlinw5_rdma_cm.pcap", [(0x3D, 0x3B, "closed"), (0x3E, 0x3C, "closed")]),
        ("linlinw5_rping.pcap", [(44, 43, "closed")]),
        ("softroce/Roce_PacketSize_2400_stall.pcapng", [(25, 25, "established")]),
        ("softroce/FirstSuccesfullRping.pcapng", [(40, 40, "closed")]),
    ],
)
def test_real_exchanges(captures: Path, name: str, wanted: list[tuple[int, int, str]]) -> None:
    tracker = ConnectionTracker()
    for time_ns, frame, src, dst, payload in datagrams(captures / "rdma" / name):
        tracker.observe(time_ns, frame, src, dst, payload)
    found = []
    for connection in tracker.connections():
        assert connection.reply is not None
        assert connection.request.dst_ip == connection.responder
        found.append((connection.request.qpn, connection.reply.qpn, connection.outcome()))
    assert found == wanted
    assert tracker.unmatched == 0
