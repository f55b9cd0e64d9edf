import numpy as np
import pytest

from fabricscope.analyzers.links.parallel import imbalance
from fabricscope.collectors.ports import PortInterval
from fabricscope.pipeline.live.naming import Place, naming_of
from fabricscope.pipeline.live.ports import placed, port_samples
from fabricscope.topology.fabric import Device, Fabric, Link

FABRIC = Fabric(
    "two spines",
    (
        Device("host1", "host", 0),
        Device("leaf1", "leaf", 1),
        Device("spine1", "spine", 2),
        Device("spine2", "spine", 2),
    ),
    (
        Link(0, 1, 100.0, a_port="eth0", b_port="swp1"),
        Link(1, 2, 400.0, a_port="swp49", b_port="swp1"),
        Link(3, 1, 400.0, a_port="swp1", b_port="swp50"),
    ),
)
SECOND_NS = 1_000_000_000


def test_a_fabric_names_links_rates_and_parallel_links() -> None:
    naming = naming_of(FABRIC)
    assert naming.rate_of("leaf1-spine1") == 400.0
    assert naming.rate_of("unheard of") == 100.0
    assert naming.group_of("leaf1-spine1") == naming.group_of("spine2-leaf1")
    assert naming.group_of("host1-leaf1") == "host1-leaf1"
    assert naming.group_of("a-b#2") == naming.group_of("a-b")


@pytest.mark.parametrize(
    ("port", "said", "link", "direction"),
    [
        ("host1 eth0", "up", "host1-leaf1", "up"),  # a host calls up what it sends
        ("leaf1 swp1", "up", "host1-leaf1", "up"),  # a switch what it receives
        ("leaf1:swp49", "up", "leaf1-spine1", "down"),
        ("leaf1 swp49", "down", "leaf1-spine1", "up"),
        ("spine1 swp1", "up", "leaf1-spine1", "up"),
        ("spine2 swp1", "up", "spine2-leaf1", "up"),
        ("nobody", "up", "nobody", "up"),
    ],
)
def test_ports_become_directions_of_links(port: str, said: str, link: str, direction: str) -> None:
    (one,) = placed([PortInterval(port, said, SECOND_NS)], naming_of(FABRIC))
    assert (one.port, one.direction) == (link, direction)


def test_both_ends_of_a_link_are_one_row() -> None:
    ends = [
        PortInterval("leaf1 swp49", "down", SECOND_NS, packets=10, bytes=1_000, discards=2),
        PortInterval("spine1 swp1", "up", SECOND_NS, packets=9, bytes=900, errors=1),
    ]
    frame = port_samples(0, "here", "gnmi", ends, naming_of(FABRIC))
    (row,) = frame.to_dicts()
    assert (row["link"], row["direction"], row["rate_gbps"]) == ("leaf1-spine1", "up", 400.0)
    assert (row["packets"], row["bytes"], row["discards"], row["errors"]) == (10, 1_000, 2, 1)


def test_unequal_load_of_parallel_links_costs_points() -> None:
    full = 400e9 / 8
    ports = [
        PortInterval("leaf1 swp49", "down", SECOND_NS, packets=1, bytes=int(full * 0.9)),
        PortInterval("leaf1 swp50", "down", SECOND_NS, packets=1, bytes=int(full * 0.1)),
    ]
    frame = port_samples(0, "here", "gnmi", ports, naming_of(FABRIC))
    worst, other = frame.sort("score").to_dicts()
    assert worst["link"] == "leaf1-spine1"
    assert "carries 1.8 times the mean of its parallel links" in worst["reasons"]
    assert other["score"] == 100


def test_imbalance_says_nothing_of_idle_or_lonely_links() -> None:
    rate = np.full(4, 100.0)
    load = np.array([0.5, 0.1, 0.001, 0.0]) * 100e9 / 8
    found = imbalance(["alone", "a", "idle", "idle"], load, rate, SECOND_NS)
    assert np.isnan(found).all()
    found = imbalance(["a", "a", "a", "a"], load, rate, SECOND_NS)
    assert found == pytest.approx(load / load.mean())
    assert imbalance([], np.zeros(0), np.zeros(0), SECOND_NS).size == 0


def test_neighbours_on_the_wire_name_taps() -> None:
    naming = naming_of(FABRIC)
    naming.taps["eth9"] = Place("named by hand", "up")
    naming.learn(
        [
            {"tap": "eth1", "system": "leaf1", "port": "swp49"},
            {"tap": "eth2", "system": "leaf1", "port": "swp50"},
            {"tap": "eth2", "system": "spine2", "port": "swp1"},
            {"tap": "eth3", "system": "elsewhere", "port": "Ethernet1/1"},
            {"tap": "eth9", "system": "leaf1", "port": "swp1"},
        ]
    )
    assert naming.taps == {
        "eth1": Place("leaf1-spine1", "up"),  # what leaf 1 sends towards the spine
        "eth2": Place("spine2-leaf1", "both"),
        "eth3": Place("elsewhere:Ethernet1/1", "both"),
        "eth9": Place("named by hand", "up"),
    }
    assert set(naming.learned) == {"eth1", "eth2", "eth3"}
