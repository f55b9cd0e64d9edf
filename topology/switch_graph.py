"""The switches of a fabric as arrays: cables between them bundled, endpoints as what hangs below.

The structural checks work on it; routing has tables of its own.
"""

from typing import NamedTuple

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from fabricscope.topology.fabric import Fabric

__all__ = ["SwitchGraph", "build_switch_graph", "fabric_graph"]


class SwitchGraph(NamedTuple):
    """Bundles of parallel cables between switches, one entry in each direction.

    switches: (n) device numbers. source, target: (m) rows in `switches`, sorted by source; links,
    rate: (m) cables of a bundle, and their Gb/s in all. access: channels from endpoints to
    switches; access_end, access_row, access_rate: their endpoint (device), row and Gb/s.
    """

    switches: NDArray[np.int64]
    source: NDArray[np.int64]
    target: NDArray[np.int64]
    links: NDArray[np.int64]
    rate: NDArray[np.float64]
    access: NDArray[np.int64]
    access_end: NDArray[np.int64]
    access_row: NDArray[np.int64]
    access_rate: NDArray[np.float64]

    def graph(self) -> nx.Graph:
        """Return the bundles as a simple networkx graph over rows, with the number of links."""
        graph = nx.Graph()
        graph.add_nodes_from(range(len(self.switches)))
        once = self.source < self.target
        graph.add_weighted_edges_from(
            zip(
                self.source[once].tolist(), self.target[once].tolist(), self.links[once].tolist(),
                strict=True,
            ),
            weight="links",
        )  # fmt: skip
        return graph


def build_switch_graph(fabric: Fabric) -> SwitchGraph:
    """Return the switch graph of `fabric`; NVLink switches are no part of it."""
    channels = fabric.channels
    tier = np.array([device.tier for device in fabric.devices], np.int64)
    endpoint = np.zeros(len(fabric.devices), np.bool_)
    endpoint[fabric.endpoints] = True
    switches = np.flatnonzero(tier > 0)
    row = np.full(len(fabric.devices), -1, np.int64)
    row[switches] = np.arange(len(switches))
    source, target = row[channels.source], row[channels.target]
    between = np.flatnonzero((source >= 0) & (target >= 0))
    key = source[between] * max(len(switches), 1) + target[between]
    pairs, place, links = np.unique(key, return_inverse=True, return_counts=True)
    rate = np.bincount(place.reshape(-1), channels.rate[between], len(pairs))
    access = np.flatnonzero(endpoint[channels.source] & (target >= 0))
    return SwitchGraph(
        switches=switches,
        source=pairs // max(len(switches), 1),
        target=pairs % max(len(switches), 1),
        links=links.astype(np.int64),
        rate=rate.astype(np.float64),
        access=access,
        access_end=channels.source[access].astype(np.int64),
        access_row=target[access],
        access_rate=channels.rate[access],
    )


def fabric_graph(fabric: Fabric) -> nx.MultiGraph:
    """Return a fabric as a networkx graph: nodes and edges by number, with all fields."""
    graph = nx.MultiGraph(name=fabric.name)
    for number, device in enumerate(fabric.devices):
        graph.add_node(number, **device._asdict())
    for number, link in enumerate(fabric.links):
        graph.add_edge(link.a, link.b, key=number, **link._asdict())
    return graph
