"""What happens to the fabric, in order of time."""

import itertools
from collections.abc import Iterator, Sequence

from fabricscope.topology.failures import ChannelEvent, Failure
from fabricscope.topology.recovery.plan import Plan, RouteChange

__all__ = ["moments_of", "windows_of"]

Item = ChannelEvent | RouteChange | None


def moments_of(
    failures: Sequence[Failure], plans: Sequence[Plan], relabel_ns: float
) -> Iterator[tuple[float, list[Item]]]:
    """Return each moment with what happens then.

    None stands for senders that have noticed a failure by themselves, relabel_ns after it began
    (below 0: they do not).
    """
    items: list[tuple[float, Item]] = [
        (event.time_ns, event) for failure in failures for event in failure.events
    ]
    items.extend((change.time_ns, change) for plan in plans for change in plan.changes)
    if relabel_ns >= 0:
        items.extend((failure.start_ns + relabel_ns, None) for failure in failures)
    items.sort(key=lambda item: item[0])
    for now_ns, group in itertools.groupby(items, key=lambda item: item[0]):
        yield now_ns, [what for _, what in group]


def windows_of(failures: Sequence[Failure], plans: Sequence[Plan]) -> tuple[float, ...]:
    """Return where the windows during and after the failures begin; none without a failure."""
    if not failures:
        return ()
    start_ns = min(failure.start_ns for failure in failures)
    end_ns = max((change.time_ns for plan in plans for change in plan.changes), default=start_ns)
    return (start_ns, max(end_ns, start_ns))
