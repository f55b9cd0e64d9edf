"""Writes what mirror ports saw as a pcapng file of RoCE v2 frames, one interface a tap.

Frames carry Ethernet, IPv4, UDP, BTH and RETH or AETH as NICs send them; payload and ICRC are cut
off, as a capture with a snap length does. Pause frames are IEEE 802.3 priority flow control, and
notices have the EtherType for local experiments, because their real format is not published.
Which packets were seen is the engine's matter.
"""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.topology.fabric import Fabric
from fabricscope.topology.packet_level import layout
from fabricscope.topology.packet_level.engine import PacketOutcome
from fabricscope.topology.packet_level.parameters import Nic
from fabricscope.topology.routing.balancing import pair_ends
from fabricscope.topology.workloads.transfers import Transfers

__all__ = ["EPOCH_NS", "endpoint_address", "write_capture"]

EPOCH_NS: Final = 1_767_225_600_000_000_000
"""Simulated time 0: the beginning of 2026, so that timestamps look like those of a capture."""

_ROWS: Final = 1 << 15
_HEADERS: Final = 54
_CAPTURED: Final = {
    layout.ACK: _HEADERS + 4 + 4,
    layout.NAK: _HEADERS + 4 + 4,
    layout.CNP: _HEADERS + 16 + 4,
    layout.PAUSE: 60,
    layout.NOTICE: 60,
}
_FIRST_QP: Final = 0x100
_PRIORITY: Final = 3
"""Traffic class of the lossless queue, as RoCE is commonly set up."""

Bytes = NDArray[np.uint8]
Rows = NDArray[np.void]


def endpoint_address(number: int) -> str:
    """Return the IPv4 address of the endpoint at place `number` of `Fabric.endpoints`."""
    host = number + 1
    return f"10.{host >> 16 & 255}.{host >> 8 & 255}.{host & 255}"


def write_capture(
    path: Path,
    fabric: Fabric,
    workload: Transfers,
    outcome: PacketOutcome,
    taps: Sequence[int],
    nic: Nic | None = None,
) -> int:
    """Write the packets of `outcome.taps` to `path`; return how many there are.

    taps: the channels, as they were given to `run_packets`; nic: likewise.
    """
    frames = _Frames(fabric, workload, nic or Nic())
    with path.open("wb") as file:
        file.write(_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))
        for channel in taps:
            source = int(fabric.channels.source[channel])
            target = int(fabric.channels.target[channel])
            name = f"{fabric.devices[source].name}-{fabric.devices[target].name}"
            file.write(_interface(name))
        interface = np.zeros(len(fabric.channels.source), np.uint32)
        interface[list(taps)] = np.arange(len(taps))
        for first in range(0, len(outcome.taps), _ROWS):
            rows = outcome.taps[first : first + _ROWS]
            file.write(_records(rows, frames.build(rows, first), interface[rows["channel"]]))
    return len(outcome.taps)


class _Frames:
    """The frames of packets; rows of equal length are built together."""

    def __init__(self, fabric: Fabric, workload: Transfers, nic: Nic) -> None:
        place = np.zeros(len(fabric.devices), np.int64)
        place[fabric.endpoints] = np.arange(1, len(fabric.endpoints) + 1)
        source, destination = pair_ends(workload)
        self.source = place[source]
        self.destination = place[destination]
        self.targets = fabric.channels.target
        self.sources = fabric.channels.source
        moving = np.flatnonzero(workload.source != workload.destination)
        order = moving[np.argsort(workload.queue_pair[moving], kind="stable")]
        packets = np.maximum(1, -(-workload.size_bytes[order] // nic.mtu_bytes))
        self.owner = workload.queue_pair[order].astype(np.int64)
        self.first_of = np.searchsorted(self.owner, np.arange(len(source) + 1))
        total = np.cumsum(packets)
        before = np.concatenate(([0], total))
        self.end_psn = total - before[self.first_of[self.owner]]
        self.packets = packets
        self.size = workload.size_bytes[order]
        self.keys = (self.owner << 32) + self.end_psn
        self.ack_every = nic.ack_every
        self.mtu = nic.mtu_bytes

    def build(self, rows: Rows, first: int) -> list[tuple[NDArray[np.int64], Bytes, Rows]]:
        """Return (places in rows, (n, captured) bytes, (n) whole lengths) of each kind of frame."""
        parts = []
        kinds = rows["kind"]
        opening = (kinds == layout.DATA) & (rows["flags"] & layout.IS_FIRST > 0)
        classes: list[tuple[NDArray[np.bool_], Callable[[Rows], tuple[Bytes, Rows]]]] = [
            (opening, self._data),
            ((kinds == layout.DATA) & ~opening, self._data),
            ((kinds == layout.ACK) | (kinds == layout.NAK), self._answer),
            (kinds == layout.CNP, self._cnp),
            (kinds == layout.PAUSE, self._pause),
            (kinds == layout.NOTICE, self._notice),
        ]
        for chosen, make in classes:
            places = np.flatnonzero(chosen)
            if len(places):
                frames, lengths = make(rows[places])
                if make not in (self._pause, self._notice):
                    _put(frames, 18, (places + first) & 0xFFFF, 2)
                    _put(frames, 24, _checksum(frames[:, 14:34]), 2)
                parts.append((places, frames, lengths))
        return parts

    def _data(self, rows: Rows) -> tuple[Bytes, Rows]:
        pair = rows["qp"].astype(np.int64)
        psn = rows["psn"].astype(np.int64)
        message = np.searchsorted(self.keys, (pair << 32) + psn, side="right")
        inside = psn - (self.end_psn[message] - self.packets[message])
        last = inside == self.packets[message] - 1
        opening = inside == 0
        payload = np.where(
            last, self.size[message] - (self.packets[message] - 1) * self.mtu, self.mtu
        )
        reth = 16 if opening[0] else 0
        frames = np.zeros((len(rows), _HEADERS + reth), np.uint8)
        opcode = np.where(opening, np.where(last, 10, 6), np.where(last, 8, 7))
        marked = rows["flags"] & layout.IS_MARKED > 0
        lengths = _HEADERS + reth + payload + 4
        self._network(frames, pair, True, rows["hop"], np.where(marked, 3, 2), 26, lengths)
        wants_ack = last | ((inside + 1) % self.ack_every == 0)
        _transport(frames, opcode, pair, psn, wants_ack)
        if reth:
            _put(frames, _HEADERS, (pair << 32) + inside * self.mtu, 8)
            _put(frames, _HEADERS + 8, pair + 1, 4)
            _put(frames, _HEADERS + 12, self.size[message], 4)
        return frames, lengths

    def _answer(self, rows: Rows) -> tuple[Bytes, Rows]:
        pair = rows["qp"].astype(np.int64)
        expected = rows["psn"].astype(np.int64)
        refused = rows["kind"] == layout.NAK
        frames = np.zeros((len(rows), _CAPTURED[layout.ACK]), np.uint8)
        lengths = np.full(len(rows), frames.shape[1])
        self._network(frames, pair, False, rows["hop"], np.full(len(rows), 2), 26, lengths)
        psn = np.where(refused, expected, expected - 1)
        _transport(frames, np.full(len(rows), 17), pair, psn, np.zeros(len(rows), np.bool_))
        messages = np.searchsorted(self.keys, (pair << 32) + expected, side="right")
        messages -= self.first_of[pair]
        _put(frames, _HEADERS, (np.where(refused, 0x60, 0x1F) << 24) + (messages & 0xFFFFFF), 4)
        return frames, lengths

    def _cnp(self, rows: Rows) -> tuple[Bytes, Rows]:
        pair = rows["qp"].astype(np.int64)
        count = len(rows)
        frames = np.zeros((count, _CAPTURED[layout.CNP]), np.uint8)
        lengths = np.full(count, frames.shape[1])
        self._network(frames, pair, False, rows["hop"], np.zeros(count, np.int64), 48, lengths)
        zeros = np.zeros(count, np.int64)
        _transport(frames, zeros + 0x81, pair, -_start(pair), np.zeros(count, np.bool_))
        frames[:, 46] = 0x40
        return frames, lengths

    def _pause(self, rows: Rows) -> tuple[Bytes, Rows]:
        frames = np.zeros((len(rows), _CAPTURED[layout.PAUSE]), np.uint8)
        frames[:, :6] = np.frombuffer(bytes.fromhex("0180c2000001"), np.uint8)
        frames[:, 6] = 0x02
        _put(frames, 8, self.sources[rows["channel"]].astype(np.int64), 4)
        _put(frames, 12, np.full(len(rows), 0x88080101), 4)
        _put(frames, 16, np.full(len(rows), 1 << _PRIORITY), 2)
        _put(frames, 18 + 2 * _PRIORITY, rows["psn"].astype(np.int64) * 0xFFFF, 2)
        return frames, np.full(len(rows), frames.shape[1])

    def _notice(self, rows: Rows) -> tuple[Bytes, Rows]:
        frames = np.zeros((len(rows), _CAPTURED[layout.NOTICE]), np.uint8)
        frames[:, 0] = frames[:, 6] = 0x02
        _put(frames, 2, self.targets[rows["channel"]].astype(np.int64), 4)
        _put(frames, 8, self.sources[rows["channel"]].astype(np.int64), 4)
        _put(frames, 12, np.full(len(rows), 0x88B5), 2)
        _put(frames, 14, rows["psn"].astype(np.int64) & 0xFFFFFFFF, 4)
        return frames, np.maximum(rows["size"].astype(np.int64) - 24, frames.shape[1])

    def _network(
        self,
        frames: Bytes,
        pair: NDArray[np.int64],
        forward: bool,
        hop: NDArray[np.uint8],
        ecn: NDArray[np.int64],
        dscp: int,
        lengths: NDArray[np.int64],
    ) -> None:
        """Fill Ethernet, IPv4 and UDP; identification and checksum are left to the caller."""
        ends = (self.source[pair], self.destination[pair])
        source, destination = ends if forward else ends[::-1]
        frames[:, 0] = frames[:, 6] = 0x02
        _put(frames, 2, destination, 4)
        _put(frames, 8, source, 4)
        _put(frames, 12, np.full(len(pair), 0x08004500), 4)
        frames[:, 15] = (dscp << 2) | ecn
        _put(frames, 16, lengths - 14, 2)
        frames[:, 20] = 0x40
        frames[:, 22] = 64 - np.minimum(hop, 63)
        frames[:, 23] = 17
        _put(frames, 26, (10 << 24) + source, 4)
        _put(frames, 30, (10 << 24) + destination, 4)
        _put(frames, 34, 0xC000 + (pair * 40503 & 0x3FFF), 2)
        _put(frames, 36, np.full(len(pair), 4791), 2)
        _put(frames, 38, lengths - 34, 2)


def _start(pair: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a queue pair's first PSN on the wire: NICs begin anywhere."""
    return pair * 7_368_787 + 12_345 & 0xFFFFFF


def _transport(
    frames: Bytes,
    opcode: NDArray[np.int64],
    pair: NDArray[np.int64],
    psn: NDArray[np.int64],
    wants_ack: NDArray[np.bool_],
) -> None:
    """Fill the BTH."""
    frames[:, 42] = opcode
    _put(frames, 44, np.full(len(pair), 0xFFFF), 2)
    _put(frames, 46, pair + _FIRST_QP & 0xFFFFFF, 4)
    _put(frames, 50, (psn + _start(pair) & 0xFFFFFF) | wants_ack.astype(np.int64) << 31, 4)


def _put(frames: Bytes, place: int, value: NDArray[np.int64], size: int) -> None:
    """Write a big-endian number of `size` bytes into each frame."""
    for byte in range(size):
        frames[:, place + byte] = value >> 8 * (size - 1 - byte) & 0xFF


def _checksum(headers: Bytes) -> NDArray[np.int64]:
    """Return the IPv4 header checksum of each row."""
    words = headers.astype(np.int64)
    total = (words[:, ::2] << 8).sum(1) + words[:, 1::2].sum(1)
    total = (total & 0xFFFF) + (total >> 16)
    folded: NDArray[np.int64] = (total & 0xFFFF) + (total >> 16)
    return ~folded & 0xFFFF


def _block(kind: int, body: bytes) -> bytes:
    length = len(body) + 12
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def _interface(name: str) -> bytes:
    """Return an interface description: Ethernet, whole nanoseconds, and a name."""
    text = name.encode()
    options = struct.pack("<HH", 2, len(text)) + text + bytes(-len(text) % 4)
    options += struct.pack("<HHB3xI", 9, 1, 9, 0)
    return _block(1, struct.pack("<HHI", 1, 0, 0) + options)


def _records(
    rows: Rows,
    parts: list[tuple[NDArray[np.int64], Bytes, Rows]],
    interface: NDArray[np.uint32],
) -> bytes:
    """Return enhanced packet blocks in the order of `rows`."""
    captured = np.zeros(len(rows), np.int64)
    for places, frames, _ in parts:
        captured[places] = frames.shape[1]
    sizes = 32 + (captured + 3 & ~3)
    starts = np.cumsum(sizes) - sizes
    out = np.zeros(int(sizes.sum()), np.uint8)
    time_ns = rows["time"] // 1000 + EPOCH_NS
    for places, frames, lengths in parts:
        width = frames.shape[1]
        size = 32 + (width + 3 & ~3)
        block = np.zeros((len(places), size), np.uint8)
        words = np.zeros((len(places), 7), "<u4")
        words[:, 0], words[:, 1] = 6, size
        words[:, 2] = interface[places]
        words[:, 3], words[:, 4] = time_ns[places] >> 32, time_ns[places] & 0xFFFFFFFF
        words[:, 5], words[:, 6] = width, lengths
        block[:, :28] = words.view(np.uint8)
        block[:, 28 : 28 + width] = frames
        block[:, -4:] = np.frombuffer(struct.pack("<I", size), np.uint8)
        out[starts[places, None] + np.arange(size)] = block
    return out.tobytes()
