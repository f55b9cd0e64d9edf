"""Jobs that share hosts: their traffic is one group of hosts, their queue pairs are not.

Within one collective every queue pair carries the same, so queue pairs of like volume belong
together. Jobs on exactly the same hosts are not taken apart: packets do not tell them from one job
with two communicators.
"""

import dataclasses
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.collectives.jobs import Events
from fabricscope.analyzers.collectives.layout import KIND_CONTROL
from fabricscope.analyzers.collectives.patterns import TOLERANCE
from fabricscope.analyzers.collectives.segments import complete_pattern

MIN_HOSTS: Final = 3
SHAPES: Final = ("ring", "direct")
"""What queue pairs of one volume make up that no chance does."""


def split_by_volume(
    events: Events, channels: NDArray[np.void], qps: NDArray[np.void]
) -> list[Events]:
    """Return the parts of a group that each are a ring or a mesh of all their hosts, else nothing.

    channels, qps: the CHANNEL_DTYPE and QP_DTYPE records that the events' channels refer to.
    """
    if not events.rdma:
        return []
    data = events.kind < KIND_CONTROL
    volume = np.bincount(events.channel[data], events.bytes[data], len(channels))
    used = np.flatnonzero(volume > 0)
    if used.size < 2 * MIN_HOSTS:
        return []
    used = used[np.argsort(volume[used], kind="stable")]
    steps = volume[used[1:]] > (1 + TOLERANCE) * volume[used[:-1]] + events.slack_bytes
    parts = np.split(used, np.flatnonzero(steps) + 1)
    if len(parts) < 2:
        return []
    found = [_part(events, own, channels, qps) for own in parts]
    kept = [part for part in found if part is not None]
    hosts = [set(part.ranks) for part in kept]
    if len(kept) != len(parts) or any(one == hosts[0] for one in hosts[1:]):
        return []
    return kept


def _part(
    events: Events, own: NDArray[np.int64], channels: NDArray[np.void], qps: NDArray[np.void]
) -> Events | None:
    """Return the events on some data channels, with what answers them on the way back."""
    slots = channels["qp"].astype(np.int64)
    paired = qps["paired"].astype(np.int64)[slots]
    mine = np.isin(np.arange(len(channels)), own)
    answers = np.isin(paired, slots[own]) & (paired >= 0)
    data = events.kind < KIND_CONTROL
    kept = np.where(data, mine[events.channel], answers[events.channel])
    hosts = np.unique(np.concatenate((events.src[kept & data], events.dst[kept & data])))
    if hosts.size < MIN_HOSTS:
        return None
    # A credit may come from a host that is none of the part's where a number was used again.
    inside = np.isin(events.src, hosts) & np.isin(events.dst, hosts)
    kept &= inside
    place = np.full(len(events.ranks), -1, np.int64)
    place[hosts] = np.arange(hosts.size)
    columns = {
        column.name: getattr(events, column.name)[kept]
        for column in dataclasses.fields(events)
        if isinstance(getattr(events, column.name), np.ndarray)
    }
    if "answered" in columns:
        # Rows are counted anew; -1 stays what it is.
        rows = np.where(kept, np.cumsum(kept) - 1, -1)
        columns["answered"] = np.append(rows, -1)[columns["answered"]]
    columns["src"], columns["dst"] = place[columns["src"]], place[columns["dst"]]
    names = [events.ranks[host] for host in hosts.tolist()]
    part = dataclasses.replace(events, ranks=names, **columns)
    pattern = complete_pattern(part.matrix(0, len(part.kind)), 4 * events.slack_bytes)
    return part if pattern is not None and pattern.shape in SHAPES else None
