"""Transceivers: how many a fabric needs, by tier and for each endpoint."""

from typing import NamedTuple

from fabricscope.topology.fabric import NVLINK_SWITCH, Fabric

__all__ = ["TierLinks", "count_links", "count_optics"]


class TierLinks(NamedTuple):
    """Links between two kinds of device: how many, their Gb/s in all, and their transceivers."""

    below: str
    above: str
    links: int
    gbps: float
    rates_gbps: tuple[float, ...]
    lengths_m: tuple[float, ...]
    optics: int


def count_links(fabric: Fabric) -> list[TierLinks]:
    """Return the links by the kinds of their ends, in order of tier."""
    counts: dict[tuple[int, str, int, str], list[int]] = {}
    rates: dict[tuple[int, str, int, str], set[float]] = {}
    gbps: dict[tuple[int, str, int, str], float] = {}
    lengths: dict[tuple[int, str, int, str], set[float]] = {}
    for link in fabric.links:
        ends = sorted(
            (2 if d.kind == NVLINK_SWITCH else d.tier * 4, d.kind)
             for d in (fabric.devices[link.a], fabric.devices[link.b])
        )  # fmt: skip
        key = (*ends[0], *ends[1])
        total = counts.setdefault(key, [0, 0])
        total[0] += 1
        total[1] += link.optics
        gbps[key] = gbps.get(key, 0.0) + link.rate_gbps
        rates.setdefault(key, set()).add(link.rate_gbps)
        lengths.setdefault(key, set()).add(link.length_m)
    return [
        TierLinks(
            key[1], key[3], total[0], gbps[key], tuple(sorted(rates[key])),
            tuple(sorted(lengths[key])), total[1],
        )
        for key, total in sorted(counts.items())
    ]  # fmt: skip


def count_optics(fabric: Fabric) -> tuple[int, float]:
    """Return the transceivers of all links, and for each endpoint (0 without endpoints).

    A transceiver is counted at each end of a fibre; twin-port modules, which serve two links,
    would be half as many.
    """
    total = sum(link.optics for link in fabric.links)
    endpoints = len(fabric.endpoints)
    return total, total / endpoints if endpoints else 0.0
