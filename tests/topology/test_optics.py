"""Transceivers by tier, counted by hand."""

from fabricscope.topology.builders import build
from fabricscope.topology.optics import TierLinks, count_links, count_optics


def test_links_and_optics_by_tier() -> None:
    fabric = build("rail:2x4x2@100G,links=3,uplink=200G")
    assert count_links(fabric) == [
        TierLinks("gpu", "nvswitch", 8, 28_800.0, (3600.0,), (0.0,), 0),
        TierLinks("gpu", "leaf", 8, 800.0, (100.0,), (3.0,), 0),
        TierLinks("leaf", "spine", 24, 4_800.0, (200.0,), (30.0,), 48),
    ]
    assert count_optics(fabric) == (48, 6.0)
    assert count_optics(build("leaf-spine:1x1x1,host_length=4,spine_length=3")) == (2, 2.0)
