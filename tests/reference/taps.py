"""Slow and obvious twins of the tap analyzer's kernels, in plain Python on plain values."""

from dataclasses import dataclass, field
from itertools import takewhile

from fabricscope.records import PROTOCOLS

PER_LINK = {"lldp", "lacp", "pause", "pfc", "stp", "mac_control"}
RDMA = {"roce_v1", "roce_v2", "infiniband"}
ACKNOWLEDGE, ATOMIC_ACKNOWLEDGE = 17, 18


def identify(packet: dict[str, int], view: bytes, payload_bytes: int) -> tuple | None:
    """Return (key, variant, reliable) of a packet as tuples; None for a frame of one link."""
    name = PROTOCOLS[packet["protocol"]]
    if name in PER_LINK or (name == "ptp" and packet["ip_protocol"] == 0):
        return None
    key: list[object] = [
        packet[column]
        for column in (
            "src_hi", "src_lo", "dst_hi", "dst_lo", "src_port", "dst_port",
            "ip_protocol", "ethertype", "protocol",
        )
    ]  # fmt: skip
    variant: list[object] = []
    reliable = False
    wanted = 0
    length = packet["payload_length"]
    if name in RDMA:
        transport, operation = packet["opcode"] // 32, packet["opcode"] % 32
        reliable = transport in (0, 5) and operation not in (ACKNOWLEDGE, ATOMIC_ACKNOWLEDGE)
        key += [packet["opcode"], packet["dest_qp"], packet["psn"], length]
        variant += [packet["ip_id"], packet["aeth"], bool(packet["rdma_flags"] & 4)]
    elif packet["ip_protocol"] == 6:
        handshake = packet["tcp_flags"] & 0b11
        reliable = length > 0 or handshake != 0
        key += [packet["tcp_seq"], length, handshake]
        variant += [packet["ip_id"], packet["tcp_ack"], packet["tcp_flags"]]
    elif packet["ip_protocol"] == 0 and name == "arp":
        wanted = 28
    else:
        if packet["ip_protocol"] != 0:
            key += [packet["ip_id"], length]
        wanted = min(payload_bytes, 8) if name == "ptp" else payload_bytes
    if packet["flags"] & 4:
        wanted = payload_bytes
    start = packet["payload_offset"]
    end = start + min(wanted, length)
    captured = packet["packet_offset"] + packet["captured_length"]
    if 0 <= start < end <= captured <= len(view):
        key.append(view[start:end])
    if not reliable:
        key += variant
        variant = []
    return tuple(key), tuple(variant), reliable


@dataclass
class Distinct:
    """One packet, whoever saw it."""

    key: int
    variant: int
    time_ns: int
    flow: int
    taps: set[int]
    reliable: bool
    resent: bool = False


@dataclass
class Books:
    """What one tap saw and missed of one flow direction."""

    seen: int = 0
    lost: int = 0
    lost_resent: int = 0
    absent: int = 0
    shared: set[int] = field(default_factory=set)
    missed: list[Distinct] = field(default_factory=list)


def match(
    rows: list[tuple[int, int, int, int, int, bool]], window_ns: int, proximity_ns: int
) -> tuple[list[bool], list[Distinct]]:
    """Return (whether each row is a duplicate, the distinct packets).

    A row is (tap, time, key, variant, flow, reliable); key 0 is a frame of one link.
    """
    duplicates: list[bool] = []
    packets: list[Distinct] = []
    for tap, time_ns, key, variant, flow, reliable in rows:
        if key == 0:
            duplicates.append(False)
            continue
        recent = list(
            takewhile(
                lambda packet, now=time_ns: abs(now - packet.time_ns) <= window_ns,
                (packet for packet in reversed(packets) if packet.key == key),
            )
        )
        same = [packet for packet in recent if packet.variant == variant]
        candidates = list(takewhile(lambda packet, tap=tap: tap not in packet.taps, same))
        near = [packet for packet in candidates if abs(time_ns - packet.time_ns) <= proximity_ns]
        duplicates.append(bool(candidates))
        if candidates and reliable:
            nearest = min(candidates, key=lambda packet: abs(time_ns - packet.time_ns))
            nearest.taps.add(tap)
        elif near:
            near[-1].taps.add(tap)
        elif candidates:
            candidates[0].taps.add(tap)
        else:
            if recent and reliable:
                recent[0].resent = True
            packets.append(Distinct(key, variant, time_ns, flow, {tap}, reliable))
    return duplicates, packets


def account(
    packets: list[Distinct], spans: dict[int, tuple[int, int]], short_run: int
) -> dict[tuple[int, int], Books]:
    """Return the books of each (flow, tap); `spans` says when each tap saw anything."""
    books: dict[tuple[int, int], Books] = {}
    for flow in {packet.flow for packet in packets}:
        for tap, (first, last) in spans.items():
            book = books[flow, tap] = Books()
            for packet in packets:
                if packet.flow != flow:
                    continue
                if tap in packet.taps:
                    book.shared |= packet.taps
                    _settle(book, at_an_end=book.seen == 0, short_run=short_run)
                    book.seen += 1
                elif first <= packet.time_ns <= last:
                    book.missed.append(packet)
            _settle(book, at_an_end=True, short_run=short_run)
    return books


def _settle(book: Books, *, at_an_end: bool, short_run: int) -> None:
    witnesses = {tap for packet in book.missed for tap in packet.taps}
    if witnesses - book.shared or (at_an_end and len(book.missed) > short_run):
        book.absent += len(book.missed)
    else:
        book.lost += len(book.missed)
        book.lost_resent += sum(packet.resent for packet in book.missed)
    book.missed = []
