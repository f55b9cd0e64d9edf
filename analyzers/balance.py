"""How evenly flows lie on parallel paths: max/mean ratio, fairness, and what random hashing gives.

Taps are parallel when they see no packet twice and yet some sender and some receiver have traffic
at several of them: what ECMP, or spraying of packets, does between a leaf and its spines. With one
tap alone there are only the flows that hashing can tell apart, and what it would make of them.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.findings.finding import Finding
from fabricscope.records import FLAG_DUPLICATE, Packets

MAX_TAPS: Final = 64
MAX_FLOWS: Final = 65_536
MAX_SHARED: Final = 0.01
"""Taps of which more packets are copies of another's are one behind the other, not parallel."""

DRAWS: Final = 2_000
SPREAD_DRAWS: Final = 400
DRAWN_FLOWS: Final = 128
"""Flows that are drawn one by one, the largest; the sum of the many others is nearly normal."""

LINK_COUNTS: Final = (2, 4, 8, 16)
"""Numbers of parallel links for which a single tap states the expected ratio."""

MIN_BYTES: Final = 1_000_000
"""On fewer bytes one message decides, not the hash."""

NOTABLE_RATIO: Final = 1.25
"""Below this no link is a bottleneck worth a word."""

Key = tuple[int, int]


def max_mean_ratio(loads: NDArray[np.float64]) -> float:
    """Return the largest load over the mean of all (MMR), 1 when all are equal."""
    mean = float(loads.mean()) if loads.size else 0.0
    return float(loads.max()) / mean if mean > 0 else 1.0


def fairness(loads: NDArray[np.float64]) -> float:
    """Return Jain's fairness index, 1 when all are equal, 1/n when one has it all."""
    squares = float((loads**2).sum())
    return float(loads.sum()) ** 2 / (loads.size * squares) if squares > 0 else 1.0


def random_hashing(
    sizes: NDArray[np.float64], links: int, draws: int = DRAWS
) -> tuple[float, float]:
    """Return mean and 95th percentile of the MMR when flows of `sizes` choose links by chance.

    Drawn `draws` times with a fixed seed: 8 equal flows on 8 links give 2.59.
    """
    ordered = np.sort(np.asarray(sizes, np.float64))[::-1]
    drawn, rest = ordered[:DRAWN_FLOWS], ordered[DRAWN_FLOWS:]
    if links < 2 or drawn.size == 0 or drawn[0] <= 0:
        return 1.0, 1.0
    chance = np.random.default_rng(1)
    choice = chance.integers(links, size=(draws, drawn.size)) + links * np.arange(draws)[:, None]
    weights = np.broadcast_to(drawn, choice.shape).ravel()
    loads = np.bincount(choice.ravel(), weights, draws * links).reshape(draws, links)
    if rest.size:
        off = chance.normal(0.0, float(np.sqrt((rest**2).sum() / links)), (draws, links))
        loads += float(rest.sum()) / links + off - off.mean(axis=1, keepdims=True)
    ratios = loads.max(axis=1) / (float(ordered.sum()) / links)
    return float(ratios.mean()), float(np.percentile(ratios, 95))


class PathBalance:
    """Loads of taps and of the flows on them; of several taps only. Bounded in flows."""

    def __init__(self) -> None:
        """Start empty."""
        self._packets = np.zeros(MAX_TAPS, np.int64)
        self._copies = np.zeros(MAX_TAPS, np.int64)
        self._bytes = np.zeros(MAX_TAPS, np.float64)
        self._flows: dict[tuple[int, int], float] = {}
        self._ends: dict[int, tuple[Key, Key]] = {}
        self._closed = 0
        self.flows_dropped = 0

    def update(self, packets: Packets, flow: NDArray[np.int64], side: NDArray[np.uint8]) -> None:
        """Take in a batch after the flow table has seen it; copies at other taps are marked."""
        tap = np.minimum(packets.tap.astype(np.int64), MAX_TAPS - 1)
        copy = (packets.flags & FLAG_DUPLICATE) != 0
        self._packets += np.bincount(tap, minlength=MAX_TAPS)
        self._copies += np.bincount(tap[copy], minlength=MAX_TAPS)
        rows = np.flatnonzero(~copy & (flow >= 0) & (packets.payload_length > 0))
        size = packets.wire_length[rows].astype(np.float64)
        self._bytes += np.bincount(tap[rows], size, MAX_TAPS)
        key = (2 * flow[rows] + side[rows]) * MAX_TAPS + tap[rows]
        keys, first, place = np.unique(key, return_index=True, return_inverse=True)
        sums = np.bincount(place.reshape(-1), size, keys.size)
        for number, row, carried in zip(
            keys.tolist(), rows[first].tolist(), sums.tolist(), strict=True
        ):
            direction, at = divmod(number, MAX_TAPS)
            if direction not in self._ends:
                if len(self._ends) >= MAX_FLOWS:
                    self.flows_dropped += 1
                    continue
                self._ends[direction] = (
                    (int(packets.src_hi[row]), int(packets.src_lo[row])),
                    (int(packets.dst_hi[row]), int(packets.dst_lo[row])),
                )
            self._flows[direction, at] = self._flows.get((direction, at), 0.0) + carried

    def flow_closed(self, slots: NDArray[np.int64]) -> None:
        """Keep what ended flows carried under a number that no later flow will have."""
        for direction in (2 * slots[:, None] + np.arange(2)).reshape(-1).tolist():
            ends = self._ends.pop(direction, None)
            if ends is None:
                continue
            self._closed += 1
            self._ends[-self._closed] = ends
            for tap in range(MAX_TAPS):
                if (direction, tap) in self._flows:
                    self._flows[-self._closed, tap] = self._flows.pop((direction, tap))

    def result(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return the groups of parallel taps, with the names of their numbers."""
        return [self._group(taps, names) for taps in self._parallel(len(names))]

    def _parallel(self, count: int) -> list[list[int]]:
        """Return groups of taps that share senders and receivers and no packets."""
        alone = self._copies <= MAX_SHARED * np.maximum(self._packets, 1)
        candidates = [
            tap for tap in range(min(count, MAX_TAPS)) if alone[tap] and self._bytes[tap] > 0
        ]
        seen: list[dict[int, set[Key]]] = [{}, {}]
        for direction, tap in self._flows:
            for end, host in enumerate(self._ends[direction]):
                seen[end].setdefault(tap, set()).add(host)
        groups: list[list[int]] = []
        for tap in candidates:
            for group in groups:
                if all(hosts.get(tap, set()) & hosts.get(group[0], set()) for hosts in seen):
                    group.append(tap)
                    break
            else:
                groups.append([tap])
        return [group for group in groups if len(group) > 1]

    def _group(self, taps: list[int], names: Sequence[str]) -> dict[str, Any]:
        sizes: dict[int, float] = {}
        for (direction, tap), carried in self._flows.items():
            if tap in taps:
                sizes[direction] = sizes.get(direction, 0.0) + carried
        loads = self._bytes[taps]
        expected, most = random_hashing(np.array(list(sizes.values())), len(taps))
        return {
            "taps": [{"name": names[tap], "bytes": int(self._bytes[tap])} for tap in taps],
            "flows": len(sizes),
            "mmr": round(max_mean_ratio(loads), 4),
            "jfi": round(fairness(loads), 4),
            "expected_mmr": round(expected, 4),
            "expected_mmr_p95": round(most, 4),
        }


def spread_of(
    src: Sequence[str], dst: Sequence[str], ports: Sequence[int], sizes: Sequence[int]
) -> dict[str, Any] | None:
    """Return what ECMP can tell apart of RoCE v2 traffic, None without any.

    src, dst, ports (UDP source port), sizes (payload bytes): of each queue-pair direction. Flows
    are distinct (sender, receiver, port); entropy is that of the bytes over them, in bits.
    """
    carried: dict[tuple[str, str, int], int] = {}
    for one, other, port, size in zip(src, dst, ports, sizes, strict=True):
        if size > 0:
            carried[one, other, port] = carried.get((one, other, port), 0) + size
    if not carried:
        return None
    flows = np.array(list(carried.values()), np.float64)
    part = flows / flows.sum()
    return {
        "flows": len(carried),
        "source_ports": len({port for _, _, port in carried}),
        "entropy_bits": round(abs(float(-(part * np.log2(part)).sum())), 4),
        "expected_mmr": {
            str(links): round(random_hashing(flows, links, SPREAD_DRAWS)[0], 4)
            for links in LINK_COUNTS
        },
    }


def balance_findings(groups: Sequence[dict[str, Any]]) -> list[Finding]:
    """Return a finding for each group of parallel taps whose load is notably unequal."""
    findings = []
    for group in groups:
        total = sum(tap["bytes"] for tap in group["taps"])
        if total < MIN_BYTES or group["mmr"] < NOTABLE_RATIO:
            continue
        worse = group["mmr"] > group["expected_mmr_p95"]
        busiest = max(group["taps"], key=lambda tap: int(tap["bytes"]))
        against = (
            "more than random hashing gives in 95 % of cases"
            if worse
            else "within what random hashing gives"
        )
        findings.append(
            Finding(
                "warning" if worse else "notice",
                "unequal_paths",
                str(busiest["name"]),
                f"Of {len(group['taps'])} parallel paths {busiest['name']} carries "
                f"{group['mmr']:.3g} times the mean: {against} "
                f"({group['expected_mmr']:.3g} on average for these {group['flows']:,} flows).",
                "Look for polarised hashing or too few UDP source ports; more queue pairs a "
                "connection or adaptive routing spread the load."
                if worse
                else "Random hashing alone does this: more queue pairs a connection or adaptive "
                "routing spread the load.",
                {
                    "mmr": group["mmr"],
                    "jfi": group["jfi"],
                    "expected_mmr": group["expected_mmr"],
                    "expected_mmr_p95": group["expected_mmr_p95"],
                    "flows": group["flows"],
                    "bytes": busiest["bytes"],
                },
                weight=float(group["mmr"]),
            )
        )
    return findings
