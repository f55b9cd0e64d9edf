"""Bisection bandwidth: what one half of the endpoints can send to the other half at once.

The halves are by place (pod, then leaf), which in Clos fabrics is the split with the least
bandwidth. For this split the maximum flow is exact: switches that cannot be told apart by their
bundles (the coarsest equitable partition, found by colour refinement) are one node each, which
keeps the value of the flow (Grohe, Kersting, Mladenov, Selman, Dimension Reduction via Colour
Refinement, ESA 2014) and leaves a handful of nodes of any regular fabric.
"""

from typing import Final, NamedTuple

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from fabricscope.topology.fabric import Fabric
from fabricscope.topology.switch_graph import SwitchGraph, build_switch_graph

__all__ = ["Bisection", "find_bisection"]

_EDGES_LIMIT: Final = 6_000
"""Most edges of the reduced graph for the exact flow; irregular fabrics above it get a bound."""
_DIGITS: Final = 6


class Bisection(NamedTuple):
    """gbps: between the halves, one direction; full_gbps: what a half's ports could send.

    exact: False when gbps is an upper bound, the capacity of one cut.
    """

    gbps: float
    full_gbps: float
    exact: bool

    @property
    def share(self) -> float:
        """Return gbps as a share of full_gbps: 1 for a fabric that is not oversubscribed."""
        return self.gbps / self.full_gbps if self.full_gbps else 0.0


def find_bisection(fabric: Fabric, graph: SwitchGraph | None = None) -> Bisection:
    """Return the bisection bandwidth of `fabric`; zeros for fewer than two endpoints."""
    graph = graph or build_switch_graph(fabric)
    left, right = _split(fabric, graph)
    full = float(min(left.sum(), right.sum()))
    if not full:
        return Bisection(0.0, full, True)
    colours = _refine(graph, left, right)
    flow = _flow_between_classes(graph, colours, left, right)
    if flow is None:
        return Bisection(min(full, _cut_by_majority(graph, left, right)), full, False)
    return Bisection(flow, full, True)


def _split(fabric: Fabric, graph: SwitchGraph) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the Gb/s from the first and from the second half of the endpoints into each switch."""
    count = len(graph.switches)
    first_leaf = np.full(len(fabric.devices), count, np.int64)
    np.minimum.at(first_leaf, graph.access_end, graph.access_row)
    pods = np.array([device.pod for device in fabric.devices], np.int64)
    ends = fabric.endpoints.astype(np.int64)
    order = ends[np.lexsort((ends, first_leaf[ends], pods[ends]))]
    is_left = np.zeros(len(fabric.devices), np.bool_)
    is_left[order[: len(order) // 2]] = True
    of_left = is_left[graph.access_end]
    left = np.bincount(graph.access_row[of_left], graph.access_rate[of_left], count)
    right = np.bincount(graph.access_row[~of_left], graph.access_rate[~of_left], count)
    return left.astype(np.float64), right.astype(np.float64)


def _refine(
    graph: SwitchGraph, left: NDArray[np.float64], right: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return a class for each switch: those of one class have equal bundles into every class."""
    ends = np.round(np.stack([left, right], axis=1), _DIGITS)
    colours: NDArray[np.int64] = np.unique(ends, axis=0, return_inverse=True)[1].reshape(-1)
    classes = int(colours.max()) + 1
    while True:
        key, total = _sum_by_class(graph, colours)
        row, colour = key // classes, key % classes
        bounds = np.searchsorted(row, np.arange(len(colours) + 1)).tolist()
        lists = list(zip(colour.tolist(), np.round(total, _DIGITS).tolist(), strict=True))
        numbers: dict[tuple[object, ...], int] = {}
        refined = np.array(
            [
                numbers.setdefault((own, *lists[bounds[n] : bounds[n + 1]]), len(numbers))
                for n, own in enumerate(colours.tolist())
            ],
            np.int64,
        )
        if len(numbers) == classes:
            return colours
        colours, classes = refined, len(numbers)


def _sum_by_class(
    graph: SwitchGraph, colours: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return keys (switch * classes + class of neighbour), ascending, and the Gb/s of each."""
    classes = int(colours.max()) + 1
    key, place = np.unique(graph.source * classes + colours[graph.target], return_inverse=True)
    return key, np.bincount(place.reshape(-1), graph.rate, len(key)).astype(np.float64)


def _flow_between_classes(
    graph: SwitchGraph,
    colours: NDArray[np.int64],
    left: NDArray[np.float64],
    right: NDArray[np.float64],
) -> float | None:
    """Return the maximum flow through the classes; None when they are too many."""
    classes = int(colours.max()) + 1
    key, place = np.unique(
        colours[graph.source] * classes + colours[graph.target], return_inverse=True
    )
    if len(key) > _EDGES_LIMIT:
        return None
    rate = np.bincount(place.reshape(-1), graph.rate, len(key))
    flow = nx.DiGraph()
    flow.add_nodes_from(("left", "right"))
    for pair, capacity in zip(key.tolist(), rate.tolist(), strict=True):
        if pair // classes != pair % classes:
            flow.add_edge(pair // classes, pair % classes, capacity=capacity)
    into = np.bincount(colours, left, classes).tolist()
    out_of = np.bincount(colours, right, classes).tolist()
    for colour in range(classes):
        if into[colour]:
            flow.add_edge("left", colour, capacity=into[colour])
        if out_of[colour]:
            flow.add_edge(colour, "right", capacity=out_of[colour])
    return float(nx.maximum_flow_value(flow, "left", "right"))


def _cut_by_majority(
    graph: SwitchGraph, left: NDArray[np.float64], right: NDArray[np.float64]
) -> float:
    """Return the capacity of a cut: each switch on the side that it has more bandwidth to."""
    side = np.sign(left - right)
    for _ in range(8):
        pull = np.bincount(graph.source, graph.rate * side[graph.target], len(side))
        moved = np.where(left + right > 0, np.sign(left - right), np.sign(pull))
        if (moved == side).all():
            break
        side = moved
    is_left = side > 0
    crossing = is_left[graph.source] & ~is_left[graph.target]
    return float(graph.rate[crossing].sum() + left[~is_left].sum() + right[is_left].sum())
