"""Slow twin of the flow table: a dictionary of lists, a packet at a time, no bounds."""

from typing import Any, Final

import numpy as np

from fabricscope.records import (
    FLAG_DUPLICATE,
    FLAG_FRAGMENT,
    FLAG_LATER_FRAGMENT,
    FLAG_TRUNCATED,
    TUNNELS,
    Packets,
)

ERSPAN: Final = TUNNELS.index("erspan")

Endpoint = tuple[int, int, int]


def rows_of(packets: Packets) -> list[dict[str, int]]:
    """Return the packets as dictionaries of plain integers."""
    columns = {name: column.tolist() for name, column in packets._asdict().items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def tunnels(row: dict[str, int]) -> tuple[tuple[int, int], ...]:
    """Return (kind, id) of each tunnel but the mirror's own, outermost first."""
    found = []
    for level in range(4):
        kind = row["tunnel_kinds"] >> (8 * level) & 0xFF
        ids = row["tunnel_ids_low"] if level < 2 else row["tunnel_ids_high"]
        if kind not in (0, ERSPAN):
            found.append((level, kind, ids >> (32 * (level % 2)) & 0xFFFFFFFF))
    return tuple((kind, number) for _, kind, number in found)


class SlowFlows:
    """The flow table by its definition."""

    def __init__(self, idle_ns: int, active_ns: int) -> None:
        self.idle_ns = idle_ns
        self.active_ns = active_ns
        self.open: dict[Any, dict[str, Any]] = {}
        self.flows: list[dict[str, Any]] = []
        self.ports: dict[Any, tuple[int, int]] = {}

    def update(self, packets: Packets) -> list[int]:
        """Take a batch; returns each packet's flow by its place in `flows`, -1 for duplicates."""
        return [self._take(row) for row in rows_of(packets)]

    def _take(self, row: dict[str, int]) -> int:
        if row["flags"] & FLAG_DUPLICATE:
            return -1
        ports = row["src_port"], row["dst_port"]
        if row["flags"] & FLAG_FRAGMENT:
            names = ("src_hi", "src_lo", "dst_hi", "dst_lo", "ip_id", "ip_protocol")
            datagram = tuple(row[name] for name in names)
            if row["flags"] & FLAG_LATER_FRAGMENT:
                ports = self.ports.get(datagram, ports)
            else:
                self.ports[datagram] = ports
        source = (row["src_hi"], row["src_lo"], ports[0])
        target = (row["dst_hi"], row["dst_lo"], ports[1])
        key = (frozenset((source, target)), row["ip_protocol"], tunnels(row))
        now = row["time_ns"]
        flow = self.open.get(key)
        if flow is not None:
            if now - flow["last_ns"] > self.idle_ns:
                flow["end"] = "idle"
                flow = None
            elif now - flow["first_ns"] > self.active_ns:
                flow["end"] = "active"
                flow = None
        if flow is None:
            flow = {
                "a": source,
                "b": target,
                "ip_protocol": row["ip_protocol"],
                "first_ns": now,
                "last_ns": now,
                "first_frame": row["frame"],
                "end": "open",
                "sides": ([], []),
                "place": len(self.flows),
            }
            self.open[key] = flow
            self.flows.append(flow)
        flow["last_ns"] = max(flow["last_ns"], now)
        flow["sides"][source != flow["a"]].append(row)
        return int(flow["place"])


def summary(rows: list[dict[str, int]]) -> dict[str, Any]:
    """Return what the table keeps of one direction."""
    sizes = [row["wire_length"] for row in rows]
    gaps: list[int] = []
    last = rows[0]["time_ns"] if rows else 0
    for row in rows[1:]:
        gaps.append(max(row["time_ns"] - last, 0))
        last = max(last, row["time_ns"])
    flags = 0
    for row in rows:
        flags |= row["tcp_flags"]
    return {
        "packets": len(rows),
        "bytes": sum(sizes),
        "payload_bytes": sum(row["payload_length"] for row in rows),
        "payload_packets": sum(row["payload_length"] > 0 for row in rows),
        "size_min": min(sizes, default=0xFFFFFFFF),
        "size_max": max(sizes, default=0),
        "size_square_sum": float(sum(size * size for size in sizes)),
        "gap_max_ns": max(gaps, default=0),
        "gap_square_sum": float(sum(float(gap) * gap for gap in gaps)),
        "ecn_marked": sum(row["ecn"] == 3 for row in rows),
        "truncated": sum(bool(row["flags"] & FLAG_TRUNCATED) for row in rows),
        "tcp_flags": flags,
        "sizes": np.array(sizes, np.float64),
        "gaps": np.array(gaps, np.float64),
    }
