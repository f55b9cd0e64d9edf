"""Cables that a file lists once from each end, as LLDP and ibnetdiscover do: put together here."""

from typing import NamedTuple

from fabricscope.topology.files.draft import Cable, Draft

__all__ = ["Side", "join_sides"]


class Side(NamedTuple):
    """What one end says: its own device and port, the other's, and the rate (negative: unknown)."""

    device: str
    port: str
    peer: str
    peer_port: str
    rate_gbps: float
    where: str


def join_sides(draft: Draft, sides: list[Side], listed: set[str]) -> None:
    """Add one cable for each pair of sides to `draft`, and note what does not fit together.

    listed: devices that were asked; one that was not asked cannot confirm its end.
    """
    by_port: dict[tuple[str, str], Side] = {}
    for side in sides:
        key = (side.device, side.port)
        if key in by_port:
            draft.fault("ports with several neighbours, of which the first is taken: {}")
            continue
        by_port[key] = side
    done: set[tuple[str, str]] = set()
    for key, side in by_port.items():
        if key in done or side.device == side.peer:
            if side.device == side.peer:
                draft.fault("ports that lead back to their own device, left out: {}")
            continue
        back = by_port.get((side.peer, side.peer_port))
        done.update((key, (side.peer, side.peer_port)))
        rate_gbps = side.rate_gbps
        if back and (back.peer, back.peer_port) == key:
            if rate_gbps > 0 and back.rate_gbps > 0 and rate_gbps != back.rate_gbps:
                draft.fault(
                    "links with different rates at their two ends, of which the lower is taken: {}"
                )
                rate_gbps = min(rate_gbps, back.rate_gbps)
            rate_gbps = rate_gbps if rate_gbps > 0 else back.rate_gbps
        elif back:
            draft.fault("ports whose neighbour names another one: {}")
        elif side.peer in listed:
            draft.fault("links seen from one end only: {}")
        if not draft.knows(side.peer):
            draft.add_device(side.peer, side.where)
        draft.add_cable(
            Cable(side.device, side.peer, side.port, side.peer_port, rate_gbps), side.where
        )
