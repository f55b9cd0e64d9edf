"""When given flows have a working path again: each flow's own hash choices, change by change."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fabricscope.topology.failures import Failure, find_dead_intervals
from fabricscope.topology.recovery.plan import ALL_GROUPS, Plan, RouteChange, Situation
from fabricscope.topology.routing.kernels import mix
from fabricscope.topology.routing.routes import Routes, RouteState, find_paths

__all__ = ["FlowRecovery", "Flows", "apply_change", "find_flow_recovery"]

MAX_TRIES = 64


class Flows(NamedTuple):
    """Flows by endpoint and hash. All arrays have one entry a flow."""

    sources: NDArray[np.int32]
    destinations: NDArray[np.int32]
    hashes: NDArray[np.uint64]


class FlowRecovery(NamedTuple):
    """What became of each flow, ns from the failure; one entry a flow.

    broken_ns: when its path first failed, nan if it never did. working_ns: when it began to work
    for good, inf if never. outage_ns: time without a path in all.
    """

    broken_ns: NDArray[np.float64]
    working_ns: NDArray[np.float64]
    outage_ns: NDArray[np.float64]

    @property
    def convergence_ns(self) -> float | None:
        """Return when the last broken flow works again; None if one never does."""
        broken = self.working_ns[~np.isnan(self.broken_ns)]
        last = float(broken.max(initial=0.0))
        return last if np.isfinite(last) else None


def find_flow_recovery(
    situation: Situation, plan: Plan, flows: Flows, seeds: NDArray[np.uint64]
) -> FlowRecovery:
    """Return when each flow is broken and works again; seeds: of devices' hashes."""
    failure = situation.failure
    state = RouteState.initial(situation.routes)
    moments = _dead_moments(failure)
    changes: dict[float, list[RouteChange]] = {}
    for change in plan.changes:
        changes.setdefault(change.time_ns, []).append(change)
    count = len(flows.sources)
    hashes = flows.hashes.copy()
    broken = np.full(count, np.nan)
    working = np.full(count, np.nan)
    outage = np.zeros(count)
    bad = np.zeros(count, np.bool_)
    since = np.zeros(count)
    due = np.full(count, np.inf)
    tries = np.zeros(count, np.int64)
    times = sorted({*changes, *moments})
    position = 0
    while position < len(times) or np.isfinite(due).any():
        time_ns = min(times[position] if position < len(times) else np.inf, float(due.min()))
        if position < len(times) and times[position] == time_ns:
            position += 1
        for change in changes.get(time_ns, ()):
            apply_change(situation.routes, state, situation.fabric.channels.source, change)
        again = due == time_ns
        hashes[again] = [
            _relabel(int(h), int(n))
            for h, n in zip(flows.hashes[again], tries[again] + 1, strict=True)
        ]
        tries[again] += 1
        dead = _dead_at(failure, len(situation.routes.target), time_ns)
        now = _find_broken(situation.routes, state, seeds, flows, hashes, dead)
        new, healed = now & ~bad, bad & ~now
        broken[new & np.isnan(broken)] = time_ns
        since[new] = time_ns
        outage[healed] += time_ns - since[healed]
        working[healed] = time_ns
        bad = now
        due[~bad] = np.inf
        if plan.relabel_ns is not None:
            due[new] = time_ns + plan.relabel_ns
            due[again & bad] = time_ns + plan.relabel_ns
            due[tries >= MAX_TRIES] = np.inf
    working[bad] = outage[bad] = np.inf
    start_ns = failure.start_ns
    return FlowRecovery(broken - start_ns, working - start_ns, outage)


def _relabel(flow_hash: int, attempt: int) -> int:
    return int(mix(np.uint64((flow_hash + attempt) & 0xFFFFFFFFFFFFFFFF)))


def _dead_moments(failure: Failure) -> set[float]:
    return {
        moment
        for intervals in find_dead_intervals(failure).values()
        for interval in intervals
        for moment in interval
        if np.isfinite(moment)
    }


def _dead_at(failure: Failure, channels: int, time_ns: float) -> NDArray[np.bool_]:
    dead = np.zeros(channels, np.bool_)
    for channel, intervals in find_dead_intervals(failure).items():
        dead[channel] = any(start <= time_ns < end for start, end in intervals)
    return dead


def _find_broken(
    routes: Routes,
    state: RouteState,
    seeds: NDArray[np.uint64],
    flows: Flows,
    hashes: NDArray[np.uint64],
    dead: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    paths = find_paths(routes, state, seeds, flows.sources, flows.destinations, hashes)
    lost = (dead[paths] & (paths >= 0)).any(axis=1)
    broken: NDArray[np.bool_] = (lost | (paths[:, 0] < 0)) & (flows.sources != flows.destinations)
    return broken


def apply_change(
    routes: Routes, state: RouteState, source: NDArray[np.int32], change: RouteChange
) -> None:
    """Bring `state` up to date with one route change; source: device that each channel leaves."""
    value = 0 if change.use else 1
    if change.group == ALL_GROUPS:
        state.withdrawn[change.channel] = value
        return
    entry = int(routes.row[source[change.channel]]) * routes.distance.shape[0] + change.group
    places = slice(routes.start[entry], routes.start[entry + 1])
    state.excluded[places][routes.channels[places] == change.channel] = value
