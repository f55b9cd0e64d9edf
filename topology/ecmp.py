"""ECMP width: over how many equal-cost links a leaf reaches each other leaf."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fabricscope.topology.fabric import Fabric
from fabricscope.topology.switch_graph import SwitchGraph, build_switch_graph

__all__ = ["EcmpWidth", "find_ecmp_widths"]

_CHUNK: Final = 1 << 21
"""Most entries of an array of destinations x bundles."""
_WORK_LIMIT: Final = 1 << 25
"""Most entries in all; with more, evenly spread destinations stand for the rest."""


class EcmpWidth(NamedTuple):
    """Pairs of leaves that are `hops` links apart: least and most links out of the first leaf.

    narrow: when widths differ, leaves that nowhere have the most; if there are none, those that
    somewhere have the least.
    """

    hops: int
    pairs: int
    least: int
    most: int
    narrow: tuple[str, ...]


def find_ecmp_widths(
    fabric: Fabric, graph: SwitchGraph | None = None
) -> tuple[list[EcmpWidth], int, bool]:
    """Return the widths by distance, the pairs that cannot reach one another, and if all counted.

    A leaf is a switch that endpoints hang on. Pairs are ordered: there and back are two.
    """
    graph = graph or build_switch_graph(fabric)
    leaves = np.unique(graph.access_row)
    if not len(leaves) or not len(graph.source):
        return [], len(leaves) * max(len(leaves) - 1, 0), True
    all_of_them = len(leaves) * len(graph.source) <= _WORK_LIMIT
    wanted = leaves
    if not all_of_them:
        few = max(1, _WORK_LIMIT // len(graph.source))
        wanted = leaves[np.linspace(0, len(leaves) - 1, few).astype(np.int64)]
    found: dict[int, list[tuple[NDArray[np.int64], NDArray[np.int64]]]] = {}
    unreachable = 0
    step = max(1, _CHUNK // len(graph.source))
    for begin in range(0, len(wanted), step):
        targets = wanted[begin : begin + step]
        distance = _find_distances(graph, targets)
        width = _count_next_hops(graph, distance)[:, leaves]
        hops = distance[:, leaves]
        unreachable += int((hops < 0).sum())
        for value in np.unique(hops[hops > 0]).tolist():
            where = np.nonzero(hops == value)
            found.setdefault(value, []).append((width[where], leaves[where[1]]))
    return [_summarise(fabric, graph, hops, parts) for hops, parts in sorted(found.items())], \
        unreachable, all_of_them  # fmt: skip


def _summarise(
    fabric: Fabric,
    graph: SwitchGraph,
    hops: int,
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> EcmpWidth:
    widths = np.concatenate([part[0] for part in parts])
    rows = np.concatenate([part[1] for part in parts])
    least, most = int(widths.min()), int(widths.max())
    narrow: list[str] = []
    if least < most:
        wide = np.unique(rows[widths == most])
        few = np.setdiff1d(rows, wide)
        few = few if len(few) else np.unique(rows[widths == least])
        narrow = [fabric.devices[number].name for number in graph.switches[few].tolist()]
    return EcmpWidth(hops, len(widths), least, most, tuple(narrow))


def _find_distances(graph: SwitchGraph, targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (targets, switches) hops to each target, -1 where there is no path."""
    count = len(graph.switches)
    distance = np.full((len(targets), count), -1, np.int64)
    distance[np.arange(len(targets)), targets] = 0
    start = np.searchsorted(graph.source, np.arange(count))
    some = np.diff(np.append(start, len(graph.source))) > 0
    for hops in range(1, count + 1):
        at_end = distance[:, graph.target] == hops - 1
        reached = np.zeros(distance.shape, np.bool_)
        reached[:, some] = np.logical_or.reduceat(at_end, start[some], axis=1)
        reached &= distance < 0
        if not reached.any():
            break
        distance[reached] = hops
    return distance


def _count_next_hops(graph: SwitchGraph, distance: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (targets, switches) links that lead one hop nearer."""
    count = len(graph.switches)
    nearer = distance[:, graph.target] == distance[:, graph.source] - 1
    nearer &= distance[:, graph.target] >= 0
    start = np.searchsorted(graph.source, np.arange(count))
    some = np.diff(np.append(start, len(graph.source))) > 0
    width = np.zeros(distance.shape, np.int64)
    width[:, some] = np.add.reduceat(nearer * graph.links, start[some], axis=1)
    return width
