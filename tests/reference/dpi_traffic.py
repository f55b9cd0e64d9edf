"""Batches of packets made by hand for the tests of the engine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fabricscope.analyzers.dpi.engine import DpiAnalyzer
from fabricscope.records import IPV4_PREFIX_LO, PROTOCOLS, Packets, allocate_packets

SYN = 2
CLIENT, SERVER = 0x0A000001, 0x0A000002


@dataclass
class Sent:
    """One packet: who sent it, what it carried."""

    payload: bytes = b""
    side: int = 0
    slot: int = 0
    protocol: str = "udp"
    ports: tuple[int, int] = (40_000, 50_000)
    seq: int = 0
    tcp_flags: int = 0
    total: int | None = None
    flags: int = 0
    opcode: int = 0
    dest_qp: int = 0


def batch(sent: list[Sent]) -> tuple[np.ndarray, Packets, np.ndarray, np.ndarray]:
    """Return view, packets, flow and side of the packets in `sent`."""
    packets = allocate_packets(len(sent))
    data = bytearray(64)
    flow = np.zeros(len(sent), np.int64)
    side = np.zeros(len(sent), np.uint8)
    ip_protocols = {"tcp": 6, "udp": 17, "roce_v2": 17}
    for row, packet in enumerate(sent):
        flow[row], side[row] = packet.slot, packet.side
        packets.time_ns[row] = 1_000 + row
        packets.packet_offset[row] = packets.payload_offset[row] = len(data)
        packets.captured_length[row] = len(packet.payload)
        packets.payload_length[row] = len(packet.payload) if packet.total is None else packet.total
        packets.protocol[row] = PROTOCOLS.index(packet.protocol)
        packets.ip_protocol[row] = ip_protocols.get(packet.protocol, 0)
        packets.ethertype[row] = 0x0800
        ends = [(CLIENT, packet.ports[0]), (SERVER, packet.ports[1])]
        source, destination = ends if packet.side == 0 else ends[::-1]
        packets.src_lo[row], packets.src_port[row] = IPV4_PREFIX_LO | source[0], source[1]
        packets.dst_lo[row], packets.dst_port[row] = IPV4_PREFIX_LO | destination[0], destination[1]
        packets.tcp_seq[row] = packet.seq & 0xFFFFFFFF
        packets.tcp_flags[row] = packet.tcp_flags
        packets.flags[row] = packet.flags
        packets.opcode[row], packets.dest_qp[row] = packet.opcode, packet.dest_qp
        data += packet.payload
    view = np.frombuffer(bytes(data), np.uint8)
    return view, packets, flow, side


def run(engine: DpiAnalyzer, sent: list[Sent]) -> None:
    """Give the engine one batch."""
    engine.update(*batch(sent))


def verdict(engine: DpiAnalyzer, slot: int = 0) -> tuple[str, str]:
    """Return name and source of one flow."""
    verdicts = engine.verdicts(np.array([slot], np.int64))
    return verdicts.application[0], verdicts.application_source[0]
