"""Convergence the slow way: look at every choice of every leaf between any two events."""

import math

from fabricscope.topology.recovery.plan import ALL_GROUPS, Plan, Situation


def _is_dead(situation: Situation, channel: int, time_ns: float) -> bool:
    dead = False
    for event in situation.failure.events:
        if event.channel == channel and event.time_ns <= time_ns:
            dead = event.rate_factor <= 0 or event.loss >= 1
    return dead


def _is_used(plan: Plan, device: int, channel: int, group: int, time_ns: float) -> bool:
    state = {ALL_GROUPS: True, group: True}
    for change in plan.changes:
        if change.time_ns > time_ns or (change.device, change.channel) != (device, channel):
            continue
        if change.group in state:
            state[change.group] = change.use
    return all(state.values())


def _next_hops(situation: Situation, device: int, group: int) -> list[int]:
    routes = situation.routes
    entry = int(routes.row[device]) * routes.distance.shape[0] + group
    return routes.channels[routes.start[entry] : routes.start[entry + 1]].tolist()


def _can_fail(situation: Situation, plan: Plan, device: int, group: int, time_ns: float) -> bool:
    """Whether some choice of next hops leads nowhere."""
    if situation.routes.distance[group, situation.routes.row[device]] == 0:
        return False
    used = [
        channel
        for channel in _next_hops(situation, device, group)
        if _is_used(plan, device, channel, group, time_ns)
    ]
    return not used or any(
        _is_dead(situation, channel, time_ns)
        or _can_fail(situation, plan, int(situation.routes.target[channel]), group, time_ns)
        for channel in used
    )


def _must_fail(situation: Situation, device: int, group: int, time_ns: float) -> bool:
    """Whether no choice of next hops at all arrives."""
    if situation.routes.distance[group, situation.routes.row[device]] == 0:
        return False
    return all(
        _is_dead(situation, channel, time_ns)
        or _must_fail(situation, int(situation.routes.target[channel]), group, time_ns)
        for channel in _next_hops(situation, device, group)
    )


def _is_hit(situation: Situation, device: int, group: int) -> bool:
    """Whether some choice meets a channel that the failure kills at some time."""
    if situation.routes.distance[group, situation.routes.row[device]] == 0:
        return False
    killed = {e.channel for e in situation.failure.events if e.rate_factor <= 0 or e.loss >= 1}
    return any(
        channel in killed or _is_hit(situation, int(situation.routes.target[channel]), group)
        for channel in _next_hops(situation, device, group)
    )


def converge(situation: Situation, plan: Plan) -> tuple[float | None, float | None]:
    """Return the longest wait from its own cause, and ns from the failure to the last one's end.

    None if never. Failures of links between switches only.
    """
    start_ns = situation.failure.start_ns
    deaths = [e.time_ns for e in situation.failure.events if e.rate_factor <= 0 or e.loss >= 1]
    times = sorted(
        {start_ns}
        | {event.time_ns for event in situation.failure.events}
        | {change.time_ns for change in plan.changes}
    )
    routes = situation.routes
    longest_ns = 0.0
    settled_ns = start_ns
    for leaf in sorted({int(routes.target[channel]) for channel in routes.uplinks}):
        for group in range(routes.distance.shape[0]):
            if not _is_hit(situation, leaf, group):
                continue
            cause_ns = None
            for place, time_ns in enumerate(times):
                waits = _can_fail(situation, plan, leaf, group, time_ns)
                if not waits or _must_fail(situation, leaf, group, time_ns):
                    cause_ns = None
                    continue
                if cause_ns is None:
                    cause_ns = max(death for death in deaths if death <= time_ns)
                until_ns = times[place + 1] if place + 1 < len(times) else math.inf
                longest_ns = max(longest_ns, until_ns - cause_ns)
                settled_ns = max(settled_ns, until_ns)
    if settled_ns == math.inf:
        return None, None
    return longest_ns, settled_ns - start_ns
