"""What is left of a run at a moment, as a workload of its own, and failures moved in time."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from fabricscope.topology.failures import ChannelEvent, Failure
from fabricscope.topology.flow_level.engine import FlowRun
from fabricscope.topology.packet_level.stepping import PacketRun
from fabricscope.topology.recovery.plan import Plan, RouteChange
from fabricscope.topology.workloads.transfers import Transfers

__all__ = ["Left", "apply_past", "leave_flows", "leave_packets", "shift"]


class Left(NamedTuple):
    """The transfers that have not arrived. numbers: which transfer of the whole each one is."""

    transfers: Transfers
    numbers: NDArray[np.int64]


def leave_flows(run: FlowRun, now_ns: float) -> Left:
    """Return what is left of a flow-level run that has come to `now_ns`."""
    todo, pairs, queue = run.todo, run.pairs, run.queue
    missing = np.isnan(todo.finish_ns) | (todo.finish_ns > now_ns)
    flying = missing & ~np.isnan(todo.finish_ns)
    size = run.transfers.size_bytes.astype(np.float64)
    sending = np.flatnonzero(pairs.active == 1)
    rate = run.run.rate[sending]
    gone = rate * (now_ns - pairs.since_ns[sending])
    size[todo.queue[todo.head[sending]]] = np.maximum(pairs.remaining[sending] - gone, 1.0)
    delay_ns = np.where(todo.released > 0, 0.0, run.transfers.delay_ns)
    codes = queue.event_code[: queue.sizes[1]]
    waiting = (codes >= len(size)) & (codes < 2 * len(size))
    delay_ns[codes[waiting] - len(size)] = queue.event_ns[: queue.sizes[1]][waiting] - now_ns
    delay_ns[flying] = todo.finish_ns[flying] - now_ns
    return _leave(run.transfers, missing, flying, size, todo.waits, delay_ns)


def leave_packets(run: PacketRun, before: Left, flight_ns: float) -> Left:
    """Return what is left of a packet-level run. flight_ns: of packets that are under way.

    What failed queue pairs had to carry is left out, so that what waits for it waits for good.
    """
    table = run.network.transfers
    transfers = before.transfers
    now_ns = run.now_ns
    missing = table["finished"] < 0
    unsent = run.left_bytes(flight_ns)
    flying = missing & (table["started"] >= 0) & (unsent == 0)
    finish_ns = np.where(missing, np.nan, table["finished"] / 1000.0)
    delay_ns = transfers.delay_ns.copy()
    delay_ns[table["started"] >= 0] = 0.0
    ready = missing & (table["started"] < 0) & (table["waits"] == 0)
    arrived_ns = _last_arrivals(transfers, finish_ns)
    delay_ns[ready] = np.maximum(arrived_ns[ready] + delay_ns[ready] - now_ns, 0.0)
    delay_ns[flying] = flight_ns
    alive = missing & ~run.failed()[table["qp"]]
    left = _leave(transfers, alive, flying, unsent.astype(np.float64), table["waits"], delay_ns)
    numbers = np.where(left.numbers >= 0, before.numbers[left.numbers], -1)
    return Left(left.transfers, numbers)


def _last_arrivals(transfers: Transfers, finish_ns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return when the last of the transfers that each one waited for arrived, 0 for none."""
    last = np.zeros(len(finish_ns))
    before = np.repeat(np.arange(len(finish_ns)), np.diff(transfers.successor_start))
    np.fmax.at(last, transfers.successors, finish_ns[before])
    return last


def _leave(
    transfers: Transfers,
    missing: NDArray[np.bool_],
    flying: NDArray[np.bool_],
    size: NDArray[np.float64],
    waits: NDArray[np.int32],
    delay_ns: NDArray[np.float64],
) -> Left:
    """Return the missing transfers alone; those in flight become joins that end by themselves."""
    kept = np.flatnonzero(missing)
    place = np.full(len(missing), -1, np.int64)
    place[kept] = np.arange(len(kept))
    fan_out = np.diff(transfers.successor_start)
    sources = np.repeat(np.arange(len(missing)), fan_out)
    edges = missing[sources] & missing[transfers.successors]
    fan_out = np.bincount(sources[edges], minlength=len(missing))
    start = np.zeros(len(kept) + 1, np.int64)
    np.cumsum(fan_out[kept], out=start[1:])
    alone = flying[kept]
    source = transfers.source[kept].copy()
    source[alone] = transfers.destination[kept][alone]
    queue_pair = transfers.queue_pair[kept].copy()
    pairs = int(transfers.queue_pair.max(initial=-1)) + 1
    queue_pair[alone] = pairs + np.arange(int(alone.sum()))
    return Left(
        Transfers(
            source=source,
            destination=transfers.destination[kept],
            size_bytes=np.where(alone, 0, np.ceil(size[kept] - 1e-6)).astype(np.int64),
            queue_pair=queue_pair.astype(np.int32),
            waits=np.where(alone, 0, waits[kept]).astype(np.int32),
            successor_start=start,
            successors=place[transfers.successors[edges]].astype(np.int32),
            delay_ns=np.maximum(delay_ns[kept], 0.0),
            job=transfers.job[kept],
            iteration=transfers.iteration[kept],
            phase=transfers.phase[kept],
            operation=transfers.operation[kept],
        ),
        kept,
    )


Moved = TypeVar("Moved", Failure, Plan)


def shift(what: Moved, by_ns: float, future: bool = False) -> Moved:
    """Return a failure or plan with all its times moved. future: only what is after 0 then."""
    least = 0.0 if future else -np.inf
    if isinstance(what, Failure):
        return replace(
            what,
            start_ns=what.start_ns + by_ns,
            events=_moved(what.events, by_ns, least),
            signals=_moved(what.signals, by_ns, least),
        )
    return replace(
        what,
        changes=_moved(what.changes, by_ns, least),
        beneath=_moved(what.beneath, by_ns, least),
    )


def _moved(entries: Sequence[Any], by_ns: float, least: float) -> tuple[Any, ...]:
    moved = (replace(entry, time_ns=entry.time_ns + by_ns) for entry in entries)
    return tuple(entry for entry in moved if entry.time_ns > least)


def apply_past(
    run: FlowRun, failures: Sequence[Failure], plans: Sequence[Plan], now_ns: float
) -> None:
    """Let a run that has not begun see the fabric as it is at `now_ns`."""
    what: list[tuple[float, ChannelEvent | RouteChange]] = [
        (event.time_ns, event)
        for failure in failures
        for event in failure.events
        if event.time_ns <= now_ns
    ]
    what += [
        (change.time_ns, change)
        for plan in plans
        for change in plan.changes
        if change.time_ns <= now_ns
    ]
    run.set_fabric([entry for _, entry in sorted(what, key=lambda entry: entry[0])])
