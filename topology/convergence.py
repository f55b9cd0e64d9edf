"""How long a fabric takes to converge after a failure: from a plan, without simulating traffic.

Convergence runs from the failure until the last affected destination has a working path from
every leaf, whatever a flow's hash chooses. Destinations that no route could reach (a crashed leaf's
hosts) are counted apart: no scheme converges for them. A scheme that samples is judged by the
destinations that packets ran to, since nothing else can be sampled. Given flows are looked at in
flow_convergence.py.
"""

import bisect
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from fabricscope.topology.failures import find_dead_intervals
from fabricscope.topology.intervals import Intervals, subtract, unite
from fabricscope.topology.outages import LOCAL, REMOTE, find_outages
from fabricscope.topology.recovery.plan import ALL_GROUPS, Moments, Plan, Situation
from fabricscope.topology.recovery.union import find_exclusions

__all__ = ["Convergence", "DeviceSwitch", "find_convergence"]


@dataclass(frozen=True, slots=True)
class DeviceSwitch:
    """One device's switch-over: when it stopped using what was dead, for its last group.

    role: `local` where it lost a port of its own, `remote` where it was told. time_ns: after the
    failure; moments add up to it.
    """

    device: int
    role: str
    time_ns: float
    moments: Moments


@dataclass(frozen=True, slots=True)
class Convergence:
    """When a fabric has converged.

    convergence_ns: longest wait for a working path, from the event that began it; None if some
    destination never gets one though there is one; 0 if nothing was affected. settled_ns: from the
    first event of the failure to the end of the last wait, None likewise; more than convergence_ns
    where several things fail one after the other. local_ns, remote_ns: longest outage that a switch
    with another path could end by itself, and longest one that others had to be told of; nan where
    there is none of the kind, inf where it never ends. breakdown: parts that add up to
    convergence_ns; those of `last`, the route change that ended the wait; all `detect` where
    senders or a repair ended it; None where nothing does. devices: each device's switch-over.
    outage_ns: time in which some affected destination had no working path though there was one.
    collateral_ns: longest outage that the reaction itself caused to others, not in the values
    above. affected, stranded: pairs of origin (leaf, or host with a broken access link) and
    destination group of which some choice meets what is dead; of which none could ever work.
    """

    convergence_ns: float | None
    settled_ns: float | None
    local_ns: float
    remote_ns: float
    breakdown: Moments | None
    last: DeviceSwitch | None
    devices: tuple[DeviceSwitch, ...]
    outage_ns: float
    collateral_ns: float
    affected: int
    stranded: int


class _Wait(NamedTuple):
    """Pairs with the same outages. share: of the hash choices that fail at first."""

    bad: Intervals
    hopeless: Intervals
    share: float
    role: int
    pairs: int


def find_convergence(situation: Situation, plan: Plan) -> Convergence:
    """Return when the fabric has converged after `situation.failure` under `plan`."""
    causes = sorted(
        {start for times in find_dead_intervals(situation.failure).values() for start, _ in times}
    )
    ended_ns = settled_ns = situation.failure.start_ns
    converged_ns = 0.0
    longest = {LOCAL: math.nan, REMOTE: math.nan}
    collateral_ns = 0.0
    affected = stranded = 0
    outages: list[Intervals] = []
    for wait in _find_waits(situation, plan):
        possible = subtract(wait.bad, wait.hopeless)
        longest_ns = max((end - start for start, end in possible), default=0.0)
        if not wait.role:
            collateral_ns = max(collateral_ns, longest_ns)
            continue
        affected += wait.pairs
        possible = _relabel(possible, plan.relabel_ns, wait.share)
        if wait.hopeless and wait.hopeless[-1][1] == math.inf:
            stranded += wait.pairs
        if not possible:
            continue
        outages.append(possible)
        settled_ns = max(settled_ns, possible[-1][1])
        for start, end in possible:
            waited_ns = end - causes[bisect.bisect_right(causes, start) - 1]
            if waited_ns > converged_ns:
                converged_ns, ended_ns = waited_ns, end
        for role in (LOCAL, REMOTE):
            if wait.role & role:
                lengths = [end - start for start, end in possible]
                longest[role] = float(np.fmax(longest[role], max(lengths)))
    never = settled_ns == math.inf
    last = _find_last(plan, ended_ns, converged_ns)
    return Convergence(
        convergence_ns=None if never else converged_ns,
        settled_ns=None if never else settled_ns - situation.failure.start_ns,
        local_ns=longest[LOCAL],
        remote_ns=longest[REMOTE],
        breakdown=None if never else last.moments if last else Moments(detect_ns=converged_ns),
        last=last,
        devices=_find_switches(situation, plan),
        outage_ns=sum(end - start for start, end in unite(outages)),
        collateral_ns=collateral_ns,
        affected=affected,
        stranded=stranded,
    )


def _relabel(times: Intervals, relabel_ns: float | None, share: float) -> Intervals:
    """Return the outages as senders see them that try another path every `relabel_ns`.

    On average 1 / (1 - share) tries find one of the paths that work.
    """
    if relabel_ns is None or share >= 1:
        return times
    tries = 1 / (1 - share)
    return tuple((start, min(end, start + tries * relabel_ns)) for start, end in times)


def _find_waits(situation: Situation, plan: Plan) -> Iterator[_Wait]:
    """Yield the outages of all origins of traffic, equal ones of an origin together."""
    routes = situation.routes
    samples = plan.data_plane is not None and plan.data_plane.mode == "sampled"
    outages = find_outages(situation, plan.changes, carrying_only=samples)
    edges = set(routes.target[routes.uplinks].tolist())
    for device in sorted(edges & outages.bad.keys()):
        places = np.flatnonzero(outages.bad[device])
        kinds = Counter(
            zip(
                outages.bad[device][places].tolist(),
                outages.hopeless[device][places].tolist(),
                outages.lost_share[device][places].tolist(),
                outages.role[device][places].tolist(),
                strict=True,
            )
        )
        for (bad, hopeless, share, role), pairs in kinds.items():
            yield _Wait(outages.times[bad], outages.times[hopeless], share, role, pairs)
    yield from _find_access_waits(situation, plan)


def _find_access_waits(situation: Situation, plan: Plan) -> Iterator[_Wait]:
    """Yield the outages of endpoints that lose an uplink of their own."""
    routes = situation.routes
    dead = find_dead_intervals(situation.failure)
    withdrawn = {
        channel: tuple(times)
        for (_, channel, group), times in find_exclusions(plan.changes).items()
        if group == ALL_GROUPS
    }
    hosts = {int(situation.fabric.channels.source[channel]) for channel in dead}
    for host in sorted(hosts & set(situation.fabric.endpoints.tolist())):
        uplinks = routes.uplinks[routes.uplink_start[host] : routes.uplink_start[host + 1]].tolist()
        gone = [tuple(dead.get(channel, ())) for channel in uplinks]
        if not any(gone):
            continue
        unused = [withdrawn.get(channel, ()) for channel in uplinks]
        bad = unite(subtract(times, out) for times, out in zip(gone, unused, strict=True))
        hopeless = _in_all(gone)
        share = sum(bool(times) for times in gone) / len(uplinks)
        yield _Wait(unite((bad, _in_all(unused))), hopeless, share, LOCAL, 1)


def _in_all(parts: list[Intervals]) -> Intervals:
    """Return the times that lie in each of `parts` (at least one)."""
    everything: Intervals = ((0.0, math.inf),)
    outside = unite(subtract(everything, part) for part in parts)
    return subtract(everything, outside)


def _find_last(plan: Plan, ended_ns: float, after_ns: float) -> DeviceSwitch | None:
    """Return the route change at `ended_ns`, with moments that add up to `after_ns`."""
    for change in plan.changes:
        if change.time_ns == ended_ns:
            moments = _stretch(change.moments, after_ns)
            return DeviceSwitch(change.device, change.role, after_ns, moments)
    return None


def _stretch(moments: Moments, total_ns: float) -> Moments:
    """Return the moments with the time before their own event counted as detection.

    What began before the wait itself is not divided: it is all detection.
    """
    detect_ns = moments.detect_ns + total_ns - moments.total_ns
    if detect_ns < 0:
        return Moments(detect_ns=total_ns, hops=moments.hops)
    return replace(moments, detect_ns=detect_ns)


def _find_switches(situation: Situation, plan: Plan) -> tuple[DeviceSwitch, ...]:
    """Return each device's last switch-over away from something dead, in order of time."""
    start_ns = situation.failure.start_ns
    last: dict[tuple[int, str], DeviceSwitch] = {}
    for change in plan.changes:
        if not change.use:
            after_ns = change.time_ns - start_ns
            last[change.device, change.role] = DeviceSwitch(
                change.device, change.role, after_ns, _stretch(change.moments, after_ns)
            )
    return tuple(sorted(last.values(), key=lambda switch: switch.time_ns))
