"""Packets of a capture chosen by host, time, length or number: the list behind a drill-down.

What each field of a packet means is told by Wireshark's own dissectors, in `dissection`.
"""

import ipaddress
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fabricscope.analyzers.addresses import address_texts
from fabricscope.analyzers.findings.finding import frames_filter, host_filter
from fabricscope.analyzers.rdma.layout import OPERATIONS
from fabricscope.collectors.decode import decode
from fabricscope.compiled import load_without_compiler
from fabricscope.errors import ConfigError
from fabricscope.pipeline.sources import Progress, SingleFile
from fabricscope.records import (
    BATCH_ROWS,
    FLAG_MALFORMED,
    FLAG_TRUNCATED,
    IPV4_PREFIX_LO,
    MAC_ADDRESS_HI,
    PROTOCOLS,
    Packets,
    allocate_packets,
)

__all__ = ["LISTED_PACKETS", "PacketList", "Selection", "list_packets"]

load_without_compiler()

LISTED_PACKETS: Final = 1_000
"""Most packets of a list; the others are counted."""
CURVES: Final = 8
CURVE_POINTS: Final = 400
_FOREVER_NS: Final = (1 << 63) - 1
_TCP_FLAGS: Final = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
_RDMA: Final = tuple(PROTOCOLS.index(name) for name in ("roce_v1", "roce_v2", "infiniband"))
_CNP: Final = 0x81
_CONGESTED: Final = 3


@dataclass(frozen=True)
class Selection:
    """Which packets; a field that says nothing lets all pass.

    src, dst: addresses as the analyzers write them; host: at either end. least_bytes: on the wire.
    start_ns, end_ns: since the epoch, the end excluded. frames: numbers as Wireshark counts.
    """

    src: str = ""
    dst: str = ""
    host: str = ""
    least_bytes: int = 0
    start_ns: int = 0
    end_ns: int = _FOREVER_NS
    frames: tuple[int, ...] = ()

    def display_filter(self) -> str:
        """Return the Wireshark display filter that selects the same packets."""
        parts = [_directed(self.src, "src"), _directed(self.dst, "dst")]
        parts.append(host_filter(self.host) if self.host else "")
        if self.least_bytes:
            parts.append(f"frame.len >= {self.least_bytes}")
        if self.start_ns:
            parts.append(f"frame.time_epoch >= {_epoch(self.start_ns)}")
        if self.end_ns != _FOREVER_NS:
            parts.append(f"frame.time_epoch < {_epoch(self.end_ns)}")
        if self.frames:
            parts.append(frames_filter(list(self.frames)))
        return " && ".join(part for part in parts if part)


@dataclass
class PacketList:
    """The first packets that a selection holds, and how many there are.

    frame: a row a packet (frame, time_ns, src, dst, protocol, wire_length, info). curves: bytes on
    the wire that each of the busiest senders had sent by when, within the selection's time alone:
    (address, times ns, bytes).
    """

    frame: pl.DataFrame
    matched: int
    scanned: int
    first_ns: int
    display_filter: str
    curves: list[tuple[str, list[int], list[int]]] = field(default_factory=list)


def list_packets(
    path: str,
    selection: Selection,
    progress: Progress = lambda done, total: None,
    limit: int = LISTED_PACKETS,
) -> PacketList:
    """Return the first `limit` packets of the capture `path` that are selected.

    Raises CaptureError when the file cannot be read, ConfigError for an address that is none.
    """
    kept: list[dict[str, NDArray[Any]]] = []
    senders = _Senders()
    matched = scanned = 0
    first_ns = -1
    ends = {name: _halves(text) for name, text in _named(selection).items()}
    with SingleFile(path, progress) as source:
        packets = allocate_packets(BATCH_ROWS)
        while (batch := source.read(packets)) is not None:
            view, rows, decoded = batch
            if not decoded:
                decode(view, rows)
            if first_ns < 0 and rows.time_ns.size:
                first_ns = int(rows.time_ns[0])
            scanned += rows.time_ns.size
            timely = (rows.time_ns >= selection.start_ns) & (rows.time_ns < selection.end_ns)
            senders.count(rows, timely)
            places = np.flatnonzero(timely & _selected(rows, selection, ends))
            wanted = places[: max(limit - matched, 0)]
            matched += places.size
            if wanted.size:
                kept.append({name: getattr(rows, name)[wanted].copy() for name in rows._fields})
    return PacketList(
        _frame(kept), matched, scanned, max(first_ns, 0), selection.display_filter(),
        senders.curves(),
    )  # fmt: skip


def _named(selection: Selection) -> dict[str, str]:
    ends = {"src": selection.src, "dst": selection.dst, "host": selection.host}
    return {name: text for name, text in ends.items() if text}


def _directed(address: str, side: str) -> str:
    """Return the display filter for an address at one end."""
    if not address:
        return ""
    if address.startswith("lid:"):
        return f"infiniband.lrh.{side[0]}lid == {address.removeprefix('lid:')}"
    return host_filter(address).replace(".addr ==", f".{side} ==")


def _epoch(time_ns: int) -> str:
    return f"{time_ns // 10**9}.{time_ns % 10**9:09d}"


def _halves(text: str) -> tuple[int, int]:
    """Return the columns' two halves of an address. Raises ConfigError for anything else."""
    try:
        if text.startswith("lid:"):
            return 0, int(text.removeprefix("lid:"))
        if text.count(":") == 5 and "::" not in text:
            return MAC_ADDRESS_HI, int(text.replace(":", ""), 16)
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ConfigError(
            f"{text[:80]!r} is no address: write an IPv4, IPv6 or MAC address, or lid:NUMBER."
        ) from None
    if address.version == 4:
        return 0, IPV4_PREFIX_LO | int(address)
    return int(address) >> 64, int(address) & (1 << 64) - 1


def _selected(
    rows: Packets, selection: Selection, ends: dict[str, tuple[int, int]]
) -> NDArray[np.bool_]:
    chosen = rows.wire_length >= selection.least_bytes

    def at(side: str, halves: tuple[int, int]) -> NDArray[np.bool_]:
        high, low = np.uint64(halves[0]), np.uint64(halves[1])
        same: NDArray[np.bool_] = (getattr(rows, f"{side}_hi") == high) & (
            getattr(rows, f"{side}_lo") == low
        )
        return same

    for side in ("src", "dst"):
        if side in ends:
            chosen &= at(side, ends[side])
    if "host" in ends:
        chosen &= at("src", ends["host"]) | at("dst", ends["host"])
    if selection.frames:
        chosen &= np.isin(rows.frame, np.array(selection.frames, np.int64))
    return chosen


class _Senders:
    """Bytes on the wire by sender and time, of the batches at hand."""

    def __init__(self) -> None:
        self._times: dict[tuple[int, int], list[NDArray[np.int64]]] = {}
        self._sizes: dict[tuple[int, int], list[NDArray[np.int64]]] = {}

    def count(self, rows: Packets, timely: NDArray[np.bool_]) -> None:
        """Add what each sender sent, thinned out to a few points a batch."""
        if not timely.any():
            return
        ends, which = np.unique(
            np.stack([rows.src_hi[timely], rows.src_lo[timely]], 1), axis=0, return_inverse=True
        )
        times = rows.time_ns[timely]
        sizes = rows.wire_length[timely].astype(np.int64)
        volumes = np.bincount(which.ravel(), sizes, len(ends))
        for place in np.argsort(-volumes)[: 4 * CURVES].tolist():
            mine = which.ravel() == place
            total = np.cumsum(sizes[mine])
            last = _thin(len(total))
            key = (int(ends[place, 0]), int(ends[place, 1]))
            self._times.setdefault(key, []).append(times[mine][last])
            self._sizes.setdefault(key, []).append(np.diff(total[last], prepend=0))

    def curves(self) -> list[tuple[str, list[int], list[int]]]:
        """Return the curves of the busiest senders, most bytes first."""
        volumes = {key: sum(int(part.sum()) for part in self._sizes[key]) for key in self._sizes}
        found = []
        for high, low in sorted(volumes, key=lambda key: -volumes[key])[:CURVES]:
            times = np.concatenate(self._times[high, low])
            sums = np.cumsum(np.concatenate(self._sizes[high, low]))
            shown = _thin(len(times))
            few = np.array([high == 0 and low < 1 << 16], np.bool_)
            name = address_texts(np.array([high], np.uint64), np.array([low], np.uint64), few)[0]
            found.append((name, times[shown].tolist(), sums[shown].tolist()))
        return found


def _thin(count: int) -> NDArray[np.int64]:
    """Return places spread over `count` of them, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, CURVE_POINTS)).astype(np.int64))


def _frame(kept: list[dict[str, NDArray[Any]]]) -> pl.DataFrame:
    names = ("frame", "time_ns", "src", "dst", "protocol", "wire_length", "info")
    kinds = (pl.Int64, pl.Int64, pl.String, pl.String, pl.String, pl.Int64, pl.String)
    schema = dict(zip(names, kinds, strict=True))
    if not kept:
        return pl.DataFrame(schema=schema)
    rows = {name: np.concatenate([part[name] for part in kept]) for name in kept[0]}
    infiniband = rows["protocol"] == PROTOCOLS.index("infiniband")
    return pl.DataFrame(
        {
            "frame": rows["frame"],
            "time_ns": rows["time_ns"],
            "src": address_texts(rows["src_hi"], rows["src_lo"], infiniband),
            "dst": address_texts(rows["dst_hi"], rows["dst_lo"], infiniband),
            "protocol": [PROTOCOLS[kind] for kind in rows["protocol"].tolist()],
            "wire_length": rows["wire_length"].astype(np.int64),
            "info": [_describe(rows, place) for place in range(len(rows["frame"]))],
        },
        schema=schema,
    )


def _describe(rows: dict[str, NDArray[Any]], place: int) -> str:
    """Return what matters of one packet in a few words."""
    kind = int(rows["protocol"][place])
    payload = int(rows["payload_length"][place])
    parts = []
    if kind in _RDMA:
        opcode = int(rows["opcode"][place])
        name = "cnp" if opcode == _CNP else OPERATIONS[min(opcode & 31, len(OPERATIONS) - 1)]
        parts.append(f"{name.upper().replace('_', ' ')} to QP 0x{int(rows['dest_qp'][place]):06x}")
        parts.append(f"PSN {int(rows['psn'][place])}")
    elif PROTOCOLS[kind] in ("tcp", "udp"):
        parts.append(f"{int(rows['src_port'][place])} to {int(rows['dst_port'][place])}")
        if PROTOCOLS[kind] == "tcp":
            bits = int(rows["tcp_flags"][place])
            flags = [name for bit, name in enumerate(_TCP_FLAGS) if bits >> bit & 1]
            parts.append(f"[{' '.join(flags)}] seq {int(rows['tcp_seq'][place])}")
            parts.append(f"ack {int(rows['tcp_ack'][place])}")
    parts.append(f"{payload:,} B of payload" if payload else "no payload")
    if int(rows["ecn"][place]) == _CONGESTED:
        parts.append("congestion experienced")
    flags_set = int(rows["flags"][place])
    parts += [word for bit, word in ((FLAG_TRUNCATED, "cut by the snap length"),
                                     (FLAG_MALFORMED, "malformed")) if flags_set & bit]  # fmt: skip
    return ", ".join(parts)
