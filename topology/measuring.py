"""What is kept of one run: the outcome of an engine, and the convergences, as few numbers."""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fabricscope.topology.convergence import Convergence
from fabricscope.topology.experiment import Experiment
from fabricscope.topology.outcome import Outcome
from fabricscope.topology.recovery.plan import Moments, Plan
from fabricscope.topology.results import LOADS_LIMIT, Measured, RoleTime
from fabricscope.topology.workloads.transfers import Transfers

__all__ = ["Ran", "measure"]

QUANTILES: Final = 200
CLOSE: Final = 0.01
"""A device's switch-over explains an outage when both differ by at most this share."""


class Ran(NamedTuple):
    """An outcome, the transfers as queue pairs carried them, and which pairs lost packets.

    finish_ns: of these transfers, nan for never.
    """

    outcome: Outcome
    transfers: Transfers
    affected: NDArray[np.bool_]
    finish_ns: NDArray[np.float64]


def measure(
    experiment: Experiment,
    place: int,
    repetition: int,
    engine: str,
    plans: Sequence[Plan],
    convergences: Sequence[Convergence],
    ran: Ran,
    elapsed_s: float,
) -> Measured:
    """Return what one run shows."""
    outcome = ran.outcome
    makespan = experiment.completion_ns(outcome.iterations)
    converged_ns, moments = _last(convergences)
    loads = _loads(experiment, outcome)
    knows = engine != "flow" or place >= 0
    return Measured(
        scheme=place,
        repetition=repetition,
        engine=engine,
        makespan_ns=None if math.isnan(makespan) else makespan,
        iteration_ends=tuple(
            (int(job), int(iteration), None if math.isnan(end) else float(end))
            for job, iteration, end in zip(*outcome.iterations, strict=True)
        ),
        convergence_ns=converged_ns,
        moments=moments,
        roles=_roles(convergences),
        switches=_switches(experiment, convergences),
        packets_lost=int(outcome.packets_lost),
        bytes_lost=int(outcome.bytes_lost),
        loss_duration_ns=float(outcome.loss_duration_ns),
        flows_affected=int(outcome.flows_affected),
        qps_rtt=max(0, int(outcome.qps_rtt)) if knows else None,
        qps_timeout=int(outcome.qps_timeout) if knows else None,
        resumed_ns=_resumed(experiment, ran, converged_ns),
        loads=_rank(experiment, loads),
        up_loads=_up_loads(experiment, outcome),
        transfer_quantiles=_quantiles(ran),
        events=int(outcome.events),
        data_packets=int(outcome.data_packets),
        stalled=tuple((entry.reason, entry.transfers) for entry in outcome.stalled),
        notes=_notes(plans, convergences),
        elapsed_s=elapsed_s,
    )


def _last(convergences: Sequence[Convergence]) -> tuple[float | None, Moments | None]:
    """Return convergence and breakdown of the failure that took longest."""
    if not convergences:
        return None, None
    if any(entry.convergence_ns is None for entry in convergences):
        return None, None
    worst = max(convergences, key=lambda entry: entry.convergence_ns or 0.0)
    return worst.convergence_ns, worst.breakdown


def _roles(convergences: Sequence[Convergence]) -> dict[str, RoleTime]:
    out: dict[str, RoleTime] = {}
    for entry in convergences:
        for role, time_ns in (("local", entry.local_ns), ("remote", entry.remote_ns)):
            if math.isnan(time_ns):
                continue
            before = out.get(role)
            if before is not None and (before.time_ns is None or before.time_ns >= time_ns):
                continue
            devices = [switch for switch in entry.devices if switch.role == role]
            nearest = min(devices, key=lambda switch: abs(switch.time_ns - time_ns), default=None)
            close = nearest and abs(nearest.time_ns - time_ns) <= CLOSE * time_ns
            out[role] = RoleTime(
                None if math.isinf(time_ns) else float(time_ns),
                nearest.moments if nearest and close else None,
                len({switch.device for switch in devices}),
            )
    return out


def _switches(
    experiment: Experiment, convergences: Sequence[Convergence]
) -> tuple[tuple[str, str, float], ...]:
    return tuple(
        (experiment.fabric.devices[switch.device].name, switch.role, float(switch.time_ns))
        for entry in convergences
        for switch in entry.devices
    )


def _resumed(experiment: Experiment, ran: Ran, converged_ns: float | None) -> float | None:
    """Return when the last queue pair that lost packets had brought a transfer to its end again.

    The first arrival of each after the convergence counts; ns from the failure.
    """
    finish_ns = ran.finish_ns
    if converged_ns is None or not len(finish_ns) or not ran.affected.any():
        return None
    ready_ns = experiment.start_ns + converged_ns
    pairs = ran.transfers.queue_pair
    later = np.flatnonzero(ran.affected[pairs] & (finish_ns >= ready_ns))
    if not len(later):
        return None
    first = np.full(len(ran.affected), np.inf)
    np.minimum.at(first, pairs[later], finish_ns[later])
    return float(first[np.isfinite(first)].max()) - experiment.start_ns


def _loads(experiment: Experiment, outcome: Outcome) -> NDArray[np.float64]:
    """Return (3, channels) load of each window as a share of the rate; nan without length."""
    length_ns = np.diff(outcome.window_ns)
    capacity = np.outer(length_ns, experiment.fabric.channels.rate) / 8
    with np.errstate(divide="ignore", invalid="ignore"):
        loads = np.where(length_ns[:, None] > 0, outcome.channel_bytes / capacity, np.nan)
    return np.asarray(loads, np.float64)


def _rank(
    experiment: Experiment, loads: NDArray[np.float64]
) -> tuple[tuple[int, tuple[float | None, ...]], ...]:
    """Return the loads of channels between switches, of many those loaded most at some time."""
    channels = experiment.switch_channels
    if len(channels) > LOADS_LIMIT:
        busiest = np.argsort(-np.nan_to_num(loads[:, channels]).max(axis=0), kind="stable")
        channels = np.sort(channels[busiest[:LOADS_LIMIT]])
    return tuple(
        (
            int(channel),
            tuple(None if math.isnan(load) else float(load) for load in loads[:, channel]),
        )
        for channel in channels
    )


def _up_loads(experiment: Experiment, outcome: Outcome) -> tuple[tuple[float, ...], ...]:
    """Return bytes/ns of each channel upwards that is alive in the end, a row a window."""
    dead = {}
    for failure in experiment.failures:
        for event in failure.events:
            dead[event.channel] = event.rate_factor == 0
    channels = [c for c in experiment.up_channels.tolist() if not dead.get(c, False)]
    length_ns = np.diff(outcome.window_ns)
    return tuple(
        tuple((outcome.channel_bytes[window, channels] / length).tolist()) if length > 0 else ()
        for window, length in enumerate(length_ns.tolist())
    )


def _quantiles(ran: Ran) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return (times ns, percent) of the ends of transfers; those that never end are the rest."""
    finish_ns = ran.finish_ns
    if not len(finish_ns):
        return (), ()
    real = ran.transfers.source != ran.transfers.destination
    ends = np.sort(finish_ns[real & ~np.isnan(finish_ns)])
    if not len(ends):
        return (), ()
    places = np.unique(np.linspace(0, len(ends) - 1, QUANTILES).astype(np.int64))
    shares = 100 * (places + 1) / max(int(real.sum()), 1)
    return tuple(ends[places].tolist()), tuple(shares.tolist())


def _notes(plans: Sequence[Plan], convergences: Sequence[Convergence]) -> tuple[str, ...]:
    notes = [note for plan in plans for note in plan.notes]
    for entry in convergences:
        if entry.stranded:
            notes.append(
                f"{entry.stranded:,} pairs of leaf and destination have no path left, whatever the "
                "scheme"
            )
        if entry.collateral_ns > 0:
            notes.append("the reaction itself cut off destinations that the failure did not")
    return tuple(dict.fromkeys(notes))
