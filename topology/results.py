"""The document of `simulate`: what the runs of an experiment measured, summed up by scheme."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from fabricscope.topology.experiment import Experiment, Job
from fabricscope.topology.recovery.plan import Moments
from fabricscope.topology.statistics import jain_index, max_mean_ratio, summarise

__all__ = ["BUS_FACTORS", "SCHEMA", "Measured", "RoleTime", "build_results", "bus_bandwidth_gbps"]

SCHEMA: Final = "fabricscope-simulation/1"
ROLES: Final = ("local", "remote")
WINDOWS: Final = ("before", "during", "after")
LOADS_LIMIT: Final = 2_048
NOTES_LIMIT: Final = 20
DEVICES_LIMIT: Final = 64
ITERATIONS_LIMIT: Final = 2_000
ROUNDING: Final = 1e-12
"""Makespans that differ by a smaller share are the same, summed up in another order."""
_STAGES: Final = ("detect", "sample", "notify", "install", "switch")


@dataclass(frozen=True)
class RoleTime:
    """When the last device of one role had switched over, and how many did. ns: None for never."""

    time_ns: float | None
    moments: Moments | None
    devices: int


@dataclass(frozen=True)
class Measured:
    """What one run leaves behind; small, so that processes can hand it over.

    scheme: place in the scenario, -1 for the run without failure. iteration_ends: (job,
    iteration, end_ns or None). loads: (channel, before, during, after), shares of the nominal rate,
    None for a window without length. up_loads: the same of the channels upwards that are alive in
    the end, one row a window. resumed_ns: from the failure until the last queue pair that lost
    packets goes on; None where the engine cannot tell. transfer_quantiles: (times ns, shares %).
    """

    scheme: int
    repetition: int
    engine: str
    makespan_ns: float | None
    iteration_ends: tuple[tuple[int, int, float | None], ...]
    convergence_ns: float | None
    moments: Moments | None
    roles: dict[str, RoleTime]
    switches: tuple[tuple[str, str, float], ...]
    packets_lost: int
    bytes_lost: int
    loss_duration_ns: float
    flows_affected: int
    qps_rtt: int | None
    qps_timeout: int | None
    resumed_ns: float | None
    loads: tuple[tuple[int, tuple[float | None, ...]], ...]
    up_loads: tuple[tuple[float, ...], ...]
    transfer_quantiles: tuple[tuple[float, ...], tuple[float, ...]]
    events: int
    data_packets: int
    stalled: tuple[tuple[str, int], ...]
    notes: tuple[str, ...]
    elapsed_s: float


BUS_FACTORS: Final[dict[str, Callable[[int], float]]] = {
    "allreduce": lambda n: 2 * (n - 1) / n,
    "allgather": lambda n: (n - 1) / n,
    "reducescatter": lambda n: (n - 1) / n,
    "alltoall": lambda n: (n - 1) / n,
}
"""Bus bandwidth over algorithm bandwidth, as nccl-tests define it."""


def bus_bandwidth_gbps(job: Job, duration_ns: float) -> float | None:
    """Return the bus bandwidth of one iteration; None where the operation has none defined."""
    factor = BUS_FACTORS.get(job.operation)
    if factor is None or not duration_ns > 0:
        return None
    return 8 * job.message_bytes / duration_ns * factor(job.ranks)


def build_results(
    experiment: Experiment, baselines: Sequence[Measured], runs: Sequence[Measured]
) -> list[dict[str, Any]]:
    """Return one entry for each scheme. baselines: the runs without failure, by repetition."""
    scenario = experiment.scenario
    return [
        _sum_up(
            experiment,
            part.shown,
            place,
            baselines,
            sorted((run for run in runs if run.scheme == place), key=lambda run: run.repetition),
        )
        for place, part in enumerate(scenario.recovery)
    ]


def _sum_up(
    experiment: Experiment,
    name: str,
    place: int,
    baselines: Sequence[Measured],
    runs: Sequence[Measured],
) -> dict[str, Any]:
    part = experiment.scenario.recovery[place]
    base = {run.repetition: run for run in baselines}
    stalls = [_stall_us(run, base[run.repetition]) for run in runs]
    ratios = [_ratio(run, base[run.repetition]) for run in runs]
    converged = [_us(run.convergence_ns) for run in runs]
    first = runs[0]
    return {
        "recovery": name,
        "scheme": part.name,
        "profile": part.profile or experiment.scenario.profile,
        "engine": first.engine,
        "convergence_us": summarise(converged),
        "breakdown_us": _breakdown([run.moments for run in runs]),
        "roles": _roles(runs),
        "transport_us": summarise([_transport_us(run) for run in runs]),
        "resumed_us": summarise([_us(run.resumed_ns) for run in runs]),
        "loss_duration_us": summarise([run.loss_duration_ns / 1e3 for run in runs]),
        "packets_lost": summarise([run.packets_lost for run in runs]),
        "bytes_lost": summarise([run.bytes_lost for run in runs]),
        "flows_affected": summarise([run.flows_affected for run in runs]),
        "qps_rtt": summarise([run.qps_rtt for run in runs]),
        "qps_timeout": summarise([run.qps_timeout for run in runs]),
        "jct_us": summarise([_us(run.makespan_ns) for run in runs]),
        "stall_us": summarise(stalls),
        "jct_ratio": summarise(ratios),
        "mmr": summarise([max_mean_ratio(_last_loads(run)) for run in runs]),
        "jfi": summarise([jain_index(_last_loads(run)) for run in runs]),
        "balance": _balance(runs),
        "iterations": _iterations(runs, base),
        "link_loads": _link_loads(experiment, first),
        "switches": [
            {"device": device, "role": role, "time_us": time_ns / 1e3}
            for device, role, time_ns in first.switches[:DEVICES_LIMIT]
        ],
        "transfer_us": _transfer_times(first),
        "samples": {"convergence_us": converged, "stall_us": stalls, "jct_ratio": ratios},
        "stalled": dict(sum((Counter(dict(run.stalled)) for run in runs), Counter[str]())),
        "events": sum(run.events for run in runs),
        "data_packets": sum(run.data_packets for run in runs),
        "elapsed_s": sum(run.elapsed_s for run in runs),
        "notes": list(dict.fromkeys(note for run in runs for note in run.notes))[:NOTES_LIMIT],
    }


def _us(value_ns: float | None) -> float | None:
    return None if value_ns is None else value_ns / 1e3


def _stall_us(run: Measured, base: Measured) -> float | None:
    if run.makespan_ns is None or base.makespan_ns is None:
        return None
    stall_ns = run.makespan_ns - base.makespan_ns
    return 0.0 if abs(stall_ns) < ROUNDING * base.makespan_ns else stall_ns / 1e3


def _ratio(run: Measured, base: Measured) -> float | None:
    if run.makespan_ns is None or not base.makespan_ns:
        return None
    return run.makespan_ns / base.makespan_ns


def _transport_us(run: Measured) -> float | None:
    """Return what the NICs needed after the paths were there; None where it is not known."""
    if run.resumed_ns is None or run.convergence_ns is None:
        return None
    return max(0.0, run.resumed_ns - run.convergence_ns) / 1e3


def _breakdown(moments: Sequence[Moments | None]) -> dict[str, Any] | None:
    known = [entry for entry in moments if entry is not None]
    if not known:
        return None
    return {
        stage: summarise([getattr(entry, f"{stage}_ns") / 1e3 for entry in known])
        for stage in _STAGES
    }


def _roles(runs: Sequence[Measured]) -> dict[str, Any]:
    out = {}
    for role in ROLES:
        entries = [run.roles[role] for run in runs if role in run.roles]
        if entries:
            out[role] = {
                "convergence_us": summarise([_us(entry.time_ns) for entry in entries]),
                "breakdown_us": _breakdown([entry.moments for entry in entries]),
                "devices": summarise([entry.devices for entry in entries]),
            }
    return out


def _last_loads(run: Measured) -> tuple[float, ...]:
    """Return the loads upwards in the last window that has a length."""
    return next((loads for loads in reversed(run.up_loads) if loads), ())


def _balance(runs: Sequence[Measured]) -> dict[str, Any]:
    out = {}
    for place, window in enumerate(WINDOWS):
        loads = [run.up_loads[place] for run in runs if run.up_loads[place]]
        if loads:
            out[window] = {
                "mmr": summarise([max_mean_ratio(row) for row in loads]),
                "jfi": summarise([jain_index(row) for row in loads]),
            }
    return out


def _iterations(runs: Sequence[Measured], base: dict[int, Measured]) -> list[dict[str, Any]]:
    """Return duration and end of each iteration, over the repetitions, and without failure."""
    durations = [_durations(run) for run in runs]
    plain = [_durations(base[run.repetition]) for run in runs]
    rows = []
    for key in list(durations[0])[:ITERATIONS_LIMIT]:
        rows.append(
            {
                "job": key[0],
                "iteration": key[1],
                "end_us": summarise([table[key][0] for table in durations]),
                "duration_us": summarise([table[key][1] for table in durations]),
                "baseline_us": summarise([table[key][1] for table in plain]),
            }
        )
    return rows


def _durations(run: Measured) -> dict[tuple[int, int], tuple[float | None, float | None]]:
    """Return (end, duration) of each iteration, us; the first one begins at 0."""
    out: dict[tuple[int, int], tuple[float | None, float | None]] = {}
    before: dict[int, float | None] = {}
    for job, iteration, end_ns in run.iteration_ends:
        start_ns = before.get(job, 0.0)
        known = end_ns is not None and start_ns is not None
        duration = (end_ns - start_ns) / 1e3 if known else None  # type: ignore[operator]
        out[job, iteration] = (_us(end_ns), duration)
        before[job] = end_ns
    return out


def _link_loads(experiment: Experiment, run: Measured) -> list[dict[str, Any]]:
    """Return the loads of channels between switches in one run; of many the busiest."""
    fabric = experiment.fabric
    rows = []
    for channel, loads in run.loads[:LOADS_LIMIT]:
        rows.append(
            {
                "link": fabric.link_names[channel >> 1],
                "from": fabric.devices[fabric.channels.source[channel]].name,
                "to": fabric.devices[fabric.channels.target[channel]].name,
                "rate_gbps": float(fabric.channels.rate[channel]),
                **dict(zip(WINDOWS, loads, strict=True)),
            }
        )
    return rows


def _transfer_times(run: Measured) -> dict[str, list[float]] | None:
    times, shares = run.transfer_quantiles
    if not times:
        return None
    return {"times": [float(np.round(time / 1e3, 6)) for time in times], "shares": list(shares)}
