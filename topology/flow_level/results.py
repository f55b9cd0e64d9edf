"""From the state that a flow-level run ends in to its `Outcome`."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fabricscope.topology.outcome import Iterations, Outcome, Stalled
from fabricscope.topology.workloads.transfers import Transfers

if TYPE_CHECKING:
    from fabricscope.topology.flow_level.engine import FlowRun

__all__ = ["collect_outcome", "iteration_ends"]


def iteration_ends(transfers: Transfers, finish_ns: NDArray[np.float64]) -> Iterations:
    """Return when each iteration of each job ended; nan where a transfer never arrived."""
    width = int(transfers.iteration.max(initial=0)) + 1
    key = transfers.job.astype(np.int64) * width + transfers.iteration
    jobs = int(transfers.job.max(initial=0)) + 1
    end_ns = np.full(jobs * width, -np.inf)
    if len(key) and key.min() == key.max():
        end_ns[key[0]] = finish_ns.max()
    else:
        with np.errstate(invalid="ignore"):
            np.maximum.at(end_ns, key, finish_ns)
    used = np.flatnonzero(end_ns != -np.inf)
    return Iterations(
        (used // width).astype(np.int16), (used % width).astype(np.int32), end_ns[used]
    )


def collect_outcome(run: "FlowRun", end_ns: float) -> Outcome:
    """Return what `run`, flushed, tells; end_ns: where its last window ends."""
    o = run.options
    per_byte = (o.packet_bytes + o.header_bytes) / o.packet_bytes
    finish_ns = run.todo.finish_ns.copy()
    finish_ns[finish_ns > run.queue.clock[0]] = np.nan
    if run.transfers is not run.original:
        finish_ns = finish_ns.reshape(len(run.original.source), -1).max(axis=1)
    sent = np.zeros((3, run.sent.shape[1]))
    sent[: len(run.sent)] = run.sent * per_byte
    windows = np.full(4, end_ns)
    windows[: len(run.window_ns)] = run.window_ns
    if not np.isnan(finish_ns).any():
        # Loads are those of the job: after its last arrival links are idle, not lightly loaded.
        windows = np.minimum(windows, finish_ns.max(initial=0.0))
    pairs = run.pairs
    lost = float(run.queue.clock[4]) + run.lost_bytes
    still = (pairs.stalled == 1) & (pairs.bad == 1)
    later = np.maximum(pairs.blind_end_ns[still] - end_ns, 0) * pairs.blind_rate[still]
    lost += float(np.maximum(pairs.blind_bytes[still] - later, 0).sum())
    first_ns, last_ns = float(run.queue.clock[2]), float(run.queue.clock[3])
    if still.any():
        last_ns = max(last_ns, float(np.minimum(pairs.blind_end_ns[still], end_ns).max()))
    if run.lossy_ns:
        first_ns = min(first_ns, run.lossy_ns[0])
        last_ns = max(last_ns, run.lossy_ns[1])
    affected = pairs.affected == 1
    return Outcome(
        finish_ns=finish_ns,
        iterations=iteration_ends(run.original, finish_ns),
        makespan_ns=float(finish_ns.max(initial=0.0)),
        window_ns=windows,
        channel_bytes=sent,
        packets_lost=round(lost / o.packet_bytes),
        bytes_lost=round(lost * per_byte),
        loss_duration_ns=max(0.0, last_ns - first_ns) if first_ns < np.inf else 0.0,
        flows_affected=int(affected.sum()),
        qps_rtt=int((affected & (pairs.recovered < 2)).sum()) - int(still.sum()),
        qps_timeout=int((affected & (pairs.recovered == 2)).sum()),
        events=int(run.queue.clock[5]),
        data_packets=int(run.queue.clock[7]),
        stalled=_stalled(run),
        remaining_bytes=_remaining(run),
    )


def _stalled(run: "FlowRun") -> tuple[Stalled, ...]:
    """Return the reasons why transfers have not arrived, the roots first."""
    missing = np.isnan(run.todo.finish_ns) | (run.todo.finish_ns > run.queue.clock[0])
    if not missing.any() or run.options.stop_ns < np.inf:
        return ()
    flow = run.todo.flow[missing]
    pairs = run.pairs
    gone = pairs.recovered[flow] == 3
    pathless = (run.net.entries[flow, 0] < 0) & ~gone & (pairs.bad[flow] == 1)
    dead = (pairs.bad[flow] == 1) & ~gone & ~pathless
    rest = ~(gone | pathless | dead)
    reasons = (
        ("the queue pair gave up after its last retry", gone),
        ("no path is left", pathless),
        ("the path is dead and nothing replaced it", dead),
        ("waits for transfers that never arrived", rest),
    )
    return tuple(Stalled(text, int(mask.sum())) for text, mask in reasons if mask.any())


def _remaining(run: "FlowRun") -> NDArray[np.float64]:
    """Return what each transfer has still to send, when the run was stopped early."""
    if run.options.stop_ns == np.inf or run.transfers is not run.original:
        return np.empty(0)
    left = np.where(np.isnan(run.todo.finish_ns), run.todo.size_bytes, 0.0)
    begun = np.flatnonzero((run.pairs.active == 1) | (run.pairs.stalled == 1))
    left[run.todo.queue[run.todo.head[begun]]] = run.pairs.remaining[begun]
    return left
