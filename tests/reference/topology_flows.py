"""Slow and obvious twins of the flow-level engine: fair shares, a run, a ring."""

import math
from collections.abc import Mapping, Sequence, Set
from types import MappingProxyType

Path = dict[int, float]
"""Channels of a flow with the share of its rate that each one carries."""


def fair_rates(paths: Sequence[Path], capacity: Sequence[float]) -> list[float]:
    """Return max-min fair rates: all grow alike until a channel is full, then its flows stop."""
    rates: list[float | None] = [None] * len(paths)
    while None in rates:
        best, full = math.inf, -1
        for channel in range(len(capacity)):
            weight = sum(
                path.get(channel, 0.0)
                for path, rate in zip(paths, rates, strict=True)
                if rate is None
            )
            used = sum(
                path.get(channel, 0.0) * rate
                for path, rate in zip(paths, rates, strict=True)
                if rate is not None
            )
            if weight > 1e-12 and (capacity[channel] - used) / weight < best - 1e-12:
                best, full = (capacity[channel] - used) / weight, channel
        for flow, path in enumerate(paths):
            if rates[flow] is None and full in path:
                rates[flow] = max(best, 0.0)
    return [rate or 0.0 for rate in rates]


def run(transfers, paths, latency_ns, capacity) -> list[float]:
    """Return when each transfer arrives; every event makes all rates anew.

    transfers: (size, queue pair, delay_ns, numbers of those it waits for); paths, latency_ns: of
    the queue pairs.
    """
    count = len(transfers)
    left = [float(size) for size, _, _, _ in transfers]
    sent = [False] * count
    arrival = [math.inf] * count
    now = 0.0
    while not all(sent) or any(time > now for time in arrival if time < math.inf):
        ready = []
        coming = [time for time in arrival if now < time < math.inf]
        for number, (_, pair, delay_ns, waits) in enumerate(transfers):
            if sent[number] or any(not sent[w] for w in waits):
                continue
            begin = max([0.0, *(arrival[w] for w in waits)]) + delay_ns
            if begin > now:
                coming.append(begin)
            elif not any(
                not sent[other] and transfers[other][1] == pair for other in range(number)
            ):
                ready.append(number)
        rates = fair_rates([paths[transfers[number][1]] for number in ready], capacity)
        ends = [now + left[n] / rate for n, rate in zip(ready, rates, strict=True)]
        then = min([*ends, *coming], default=math.inf)
        if then == math.inf:
            break
        for number, rate, end in zip(ready, rates, ends, strict=True):
            left[number] -= rate * (then - now)
            if end <= then + 1e-6:
                sent[number] = True
                arrival[number] = then + latency_ns[transfers[number][1]]
        now = then
    return arrival


def ring_end(
    steps: int,
    send_ns: Sequence[float],
    latency_ns: Sequence[float],
    missed: Mapping[int, Set[int]] = MappingProxyType({}),
    again_ns: float = 0.0,
) -> float:
    """Return when the last rank of a ring has what it waits for; times of one chunk a rank.

    missed: by rank, before which steps its last chunk is found to have lost its end, which takes
    again_ns from when the next one could begin; unless that one stands behind it already.
    """
    ranks = len(send_ns)
    end = [0.0] * ranks
    for step in range(steps):
        for rank, when in missed.items():
            came_ns = end[rank - 1] + latency_ns[rank - 1]
            if step in when and came_ns > end[rank]:
                end[rank] = came_ns + again_ns
        came = [end[rank - 1] + latency_ns[rank - 1] if step else 0.0 for rank in range(ranks)]
        end = [max(end[rank], came[rank]) + send_ns[rank] for rank in range(ranks)]
    return max(end[rank] + latency_ns[rank] for rank in range(ranks))
