"""The fabric itself: what it refuses, names, channels and the networkx graph."""

import time

import numpy as np
import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.builders import build
from fabricscope.topology.fabric import Device, Fabric, Link
from fabricscope.topology.switch_graph import fabric_graph

A, B = Device("a", "host", 0), Device("b", "leaf", 1, forwarding_ns=500.0)


@pytest.mark.parametrize(
    ("devices", "links", "says"),
    [
        ((A, A), (), "device a occurs twice"),
        ((A, B), (Link(0, 2, 1.0),), "a device that does not exist"),
        ((A, B), (Link(0, -1, 1.0),), "a device that does not exist"),
        ((A, B), (Link(1, 1, 1.0),), "link b-b leads back to its own device"),
        ((A, B), (Link(0, 1, 0.0),), "link a-b needs a rate above 0 Gb/s"),
        ((A, B), (Link(0, 1, float("nan")),), "link a-b needs a rate above 0 Gb/s"),
        ((A, B), (Link(0, 1, 1.0, -1.0),), "a length of 0 m or more"),
    ],
)
def test_impossible_fabrics_are_refused(
    devices: tuple[Device, ...], links: tuple[Link, ...], says: str
) -> None:
    with pytest.raises(FabricError, match="fabric x: ") as caught:
        Fabric("x", devices, links)
    assert says in str(caught.value)


def test_channels_run_both_ways_and_delay_is_propagation_and_forwarding() -> None:
    fabric = Fabric("x", (A, B), (Link(0, 1, 400.0, 30.0),))
    channels = fabric.channels
    assert channels.source.tolist() == [0, 1]
    assert channels.target.tolist() == [1, 0]
    assert channels.rate.tolist() == [400.0, 400.0]
    assert channels.delay_ns.tolist() == [650.0, 150.0]
    assert fabric.endpoints.tolist() == [0]


def test_links_are_found_from_both_ends_and_parallel_ones_by_number() -> None:
    fabric = build("leaf-spine:4x2x1@100G,links=2")
    number = fabric.find_link("leaf3-spine1#2")
    assert fabric.find_link("spine1-leaf3#2") == number
    assert fabric.find_link("leaf3-spine1") == number - 1
    assert fabric.link_names[number] == "leaf3-spine1#2"
    with pytest.raises(FabricError, match="did you mean leaf3-spine1"):
        fabric.find_link("leaf3-spine9")
    with pytest.raises(FabricError, match="did you mean leaf3"):
        fabric.find_device("leaff3")
    with pytest.raises(FabricError, match="see `fabricscope topology show`"):
        fabric.find_device("zzzz")


def test_the_graph_has_every_field() -> None:
    fabric = build("rail:2x2x1@100G")
    graph = fabric_graph(fabric)
    assert graph.number_of_nodes() == len(fabric.devices)
    assert graph.number_of_edges() == len(fabric.links)
    assert graph.nodes[0]["name"] == "gpu0"
    edge = next(iter(graph.edges(keys=True, data=True)))
    assert edge[3]["rate_gbps"] == fabric.links[edge[2]].rate_gbps


def test_the_largest_preset_is_built_at_once() -> None:
    started = time.process_time()
    fabric = build("pod-16384")
    channels = fabric.channels
    assert time.process_time() - started < 5  # measured: 0.5 s; machines differ
    assert len(channels.source) == 2 * 65_536
    assert np.isfinite(channels.delay_ns).all()
