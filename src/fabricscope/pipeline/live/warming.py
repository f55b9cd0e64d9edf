"""Loads everything that the first packets would wait for, before a ring is started.

A kernel is compiled or read from its cache when it is first called, which takes seconds: time in
which a mirror port's ring would fill. Here a few made-up packets go the whole way, through a ring
block of their own, into a monitor that is then thrown away.
"""

import struct
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.mirror import kernels
from fabricscope.collectors.mirror.tunnels import MirrorTunnels
from fabricscope.pipeline.live.feeds import Batch, Losses
from fabricscope.pipeline.live.judging import SecondJudge
from fabricscope.pipeline.live.monitor import APPLICATIONS_EVERY, Monitor, MonitorOptions
from fabricscope.pipeline.live.naming import Naming, Place
from fabricscope.pipeline.live.watch import Watch
from fabricscope.records import Packets, slice_packets

__all__ = ["warm_up"]

_SECOND_NS = 1_000_000_000
_HEADER_BYTES = 64
_RANKS = 3
_STEPS = 2 * (_RANKS - 1)
_WRITE, _WRITE_LAST, _SEND, _ACK, _READ, _CNP = 6, 8, 4, 17, 12, 129
_GET = b"GET / HTTP/1.1\r\nHost: warm.example\r\n\r\n"


def warm_up(taps: int = 1, tunnels: Sequence[str] = (), flow_capacity: int = 1_024) -> None:
    """Let made-up packets of `taps` taps pass everything; tunnels: kinds listened for."""
    naming = Naming(taps={"warm 0": Place("warm")})
    monitor = Monitor(MonitorOptions("warm", naming, flow_capacity=flow_capacity))
    judge = SecondJudge("warm", naming)
    feed = _Rehearsal(taps, tunnels)
    Watch(feed, monitor, lambda counts: _judge(judge, counts)).run()
    # What makes room in full tables comes hours later, and must not be compiled then.
    monitor.make_room(0, always=True)
    monitor.links.make_room(always=True)


def _judge(judge: SecondJudge, counts: object) -> None:
    judge.tables(counts)  # type: ignore[arg-type]


class _Rehearsal:
    """A feed of the made-up packets, a block at a time."""

    waits = True

    def __init__(self, taps: int, tunnels: Sequence[str]) -> None:
        self._blocks = _blocks()
        self._taps = [f"warm {tap}" for tap in range(taps)]
        self._tunnels = MirrorTunnels(tunnels, self._taps) if tunnels else None

    def tap_names(self) -> list[str]:
        return self._taps

    def read(self, packets: Packets, timeout_s: float) -> Batch | None:
        block = next(self._blocks, None)
        if block is None:
            return None
        view, count = block
        row = 0
        for tap in range(len(self._taps)):
            row, _, _ = kernels.walk_block(view, packets, row, 0, count, tap, row + 1)
        rows = slice_packets(packets, 0, row)
        if self._tunnels is not None:
            self._tunnels.unwrap(view, rows)
        return view, rows

    def stop(self) -> None:
        pass

    def waiting_share(self) -> float:
        return 0.0

    def losses(self) -> dict[int, Losses]:
        return {}

    def now_ns(self) -> int:
        return 0


def _blocks() -> Iterator[tuple[NDArray[np.uint8], int]]:
    """Yield seconds of traffic: iterations of a ring, a connection, then a long silence."""
    psn = 0
    for second in range(1, APPLICATIONS_EVERY + 2):
        frames = [*_iteration(psn), *_connection(second)]
        psn += _STEPS
        times = [second * _SECOND_NS + 1_000 * place for place in range(len(frames))]
        yield _block(frames, times), len(frames)
    yield _block([_tcp(9, 16, b"")], [200 * _SECOND_NS]), 1


def _block(frames: Sequence[bytes], times_ns: Sequence[int]) -> NDArray[np.uint8]:
    """Return packets as they lie in a block of the ring (linux/if_packet.h), headers included."""
    parts = []
    for frame, time_ns in zip(frames, times_ns, strict=True):
        size = (_HEADER_BYTES + len(frame) + 15) // 16 * 16
        words = (size, *divmod(time_ns, _SECOND_NS), len(frame), len(frame), 0)
        header = struct.pack("=6IHH", *words, _HEADER_BYTES, 0)
        parts.append((header.ljust(_HEADER_BYTES, b"\0") + frame).ljust(size, b"\0"))
    return np.frombuffer(bytearray(b"".join(parts)), np.uint8)


def _iteration(psn: int) -> list[bytes]:
    """Return an AllReduce in a ring: what each rank writes, and its acknowledgement."""
    frames = []
    for step in range(_STEPS):
        for rank in range(_RANKS):
            after = (rank + 1) % _RANKS
            reth = struct.pack(">QII", 0, 7, 4_096)
            frames.append(_roce(_WRITE, rank, after, psn + step, reth + bytes(1_024)))
            frames.append(_roce(_WRITE_LAST, rank, after, psn + step + 1, bytes(1_024)))
            frames.append(_roce(_ACK, after, rank, psn + step + 1, bytes(4)))
    frames.append(_roce(_SEND, 0, 1, psn, _GET))
    frames.append(_roce(_READ, 0, 2, psn, struct.pack(">QII", 0, 7, 4_096)))
    return [*frames, _roce(_CNP, 1, 0, 0, bytes(16))]


def _roce(opcode: int, source: int, target: int, psn: int, rest: bytes) -> bytes:
    """Return a RoCE v2 packet; each direction between two hosts has a queue pair of its own."""
    number = 64 + 8 * source + target
    bth = struct.pack(">BBHII", opcode, 0x40, 0xFFFF, number, 1 << 31 | psn & 0xFFFFFF)
    udp = struct.pack(">HHHH", 49_152 + number, 4_791, 24 + len(rest), 0)
    return _ip(17, source, target, udp + bth + rest + bytes(4))


def _connection(second: int) -> list[bytes]:
    """Return a TCP connection that speaks HTTP, and a name that is asked for."""
    port = 40_000 + second
    name = bytes.fromhex("000101000001000000000000 047761726d00 0001 0001")
    return [
        _tcp(port, 2, b""),
        _tcp(port, 16, _GET),
        _tcp(port, 17, b""),
        _ip(17, 1, 2, struct.pack(">HHHH", port, 53, 8 + len(name), 0) + name),
    ]


def _tcp(port: int, flags: int, payload: bytes) -> bytes:
    return _ip(6, 1, 2, struct.pack(">HHIIBBHHH", port, 80, 1, 1, 80, flags, 512, 0, 0) + payload)


def _ip(protocol: int, source: int, target: int, rest: bytes) -> bytes:
    ends = bytes([10, 0, 0, source + 1, 10, 0, 0, target + 1])
    head = struct.pack(">BBHHHBBH", 0x45, 2, 20 + len(rest), 0, 0x4000, 64, protocol, 0)
    return bytes.fromhex("020000000b01020000000a010800") + head + ends + rest
