"""One plan out of several that run side by side, such as a fast scheme and the routing beneath."""

from collections.abc import Iterable, Sequence

from fabricscope.topology.recovery.plan import RouteChange

__all__ = ["find_exclusions", "unite"]

Key = tuple[int, int, int]


def unite(*plans: Sequence[RouteChange]) -> tuple[RouteChange, ...]:
    """Return the changes of forwarding in order of time when several sources make them.

    A next hop is unused as long as one source has withdrawn it; the first to withdraw and the last
    to give back make the change.
    """
    by_key: dict[Key, list[tuple[float, int, RouteChange]]] = {}
    for number, changes in enumerate(plans):
        for change in changes:
            key = (change.device, change.channel, change.group)
            by_key.setdefault(key, []).append((change.time_ns, number, change))
    out: list[RouteChange] = []
    for entries in by_key.values():
        holding: set[int] = set()
        for _, number, change in sorted(entries, key=lambda entry: entry[:2]):
            before = bool(holding)
            if change.use:
                holding.discard(number)
            else:
                holding.add(number)
            if bool(holding) != before:
                out.append(change)
    return tuple(sorted(out, key=lambda change: change.time_ns))


def find_exclusions(changes: Iterable[RouteChange]) -> dict[Key, list[tuple[float, float]]]:
    """Return when each (device, channel, group) is out of use: [(from_ns, until_ns or inf)]."""
    out: dict[Key, list[tuple[float, float]]] = {}
    since: dict[Key, float] = {}
    for change in changes:
        key = (change.device, change.channel, change.group)
        if not change.use:
            since.setdefault(key, change.time_ns)
        elif key in since:
            out.setdefault(key, []).append((since.pop(key), change.time_ns))
    for key, start_ns in since.items():
        out.setdefault(key, []).append((start_ns, float("inf")))
    return out
