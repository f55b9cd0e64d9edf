"""One scenario run: with and without failure, under each scheme, again and again, in processes.

The runs themselves are the engines' work (engines.py), what they add up to stands in results.py.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from typing import Any, Final

from fabricscope.topology.engines import choose_engine, run_once
from fabricscope.topology.experiment import Experiment, prepare
from fabricscope.topology.recording import record
from fabricscope.topology.remarks import list_remarks
from fabricscope.topology.results import (
    SCHEMA,
    Measured,
    build_results,
    bus_bandwidth_gbps,
)
from fabricscope.topology.scenario_file import Source, build_scenario
from fabricscope.topology.statistics import summarise

__all__ = ["find_baselines", "simulate"]

Progress = Callable[[int, int | None], None]
Task = tuple[int, int]
"""(place of the scheme, -1 for none; repetition)."""

WITHOUT_FAILURE: Final = -1
FEW_RUNS: Final = 4
"""So few runs are not worth the start of processes."""

_prepared: dict[str, Experiment] = {}
"""The one experiment of a worker process, prepared once."""


def simulate(
    content: Mapping[str, Any],
    source: Source,
    processes: int = 1,
    progress: Progress = lambda done, total: None,
    capture: str = "",
    baselines: Sequence[Measured] | None = None,
) -> dict[str, Any]:
    """Return the document of the scenario with the keys `content`.

    processes: how many work at a time. capture: where to write what the taps see, of the first
    scheme's first repetition. baselines: the runs without failure where they are known; then there
    are no remarks either. Raises FabricError that names file and key.
    """
    began_s = time.monotonic()
    experiment = prepare(build_scenario(content, source), source)
    scenario = experiment.scenario
    tasks = [
        (place, repetition)
        for repetition in range(scenario.repetitions)
        for place in (WITHOUT_FAILURE, *range(len(scenario.recovery)))
        if baselines is None or place != WITHOUT_FAILURE
    ]
    done: list[Measured] = []
    for measured in _run_all(experiment, content, source, tasks, processes):
        done.append(measured)
        progress(len(done), len(tasks))
    remarkable = baselines is None
    if baselines is None:
        baselines = _without_failure(done)
    runs = [run for run in done if run.scheme != WITHOUT_FAILURE]
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "fabric": _describe_fabric(experiment),
        "scenario": _describe_scenario(experiment),
        "workload": _describe_workload(experiment, baselines),
        "results": build_results(experiment, baselines, runs),
    }
    if capture:
        document["capture"] = record(experiment, capture)
    document["remarks"] = list_remarks(experiment, document) if remarkable else []
    document["elapsed_s"] = time.monotonic() - began_s
    return document


def find_baselines(content: Mapping[str, Any], source: Source) -> list[Measured]:
    """Return the runs without failure alone."""
    experiment = prepare(build_scenario(content, source), source)
    repetitions = range(experiment.scenario.repetitions)
    return [run_once(experiment, WITHOUT_FAILURE, repetition) for repetition in repetitions]


def _without_failure(done: Sequence[Measured]) -> list[Measured]:
    runs = (run for run in done if run.scheme == WITHOUT_FAILURE)
    return sorted(runs, key=lambda run: run.repetition)


def _run_all(
    experiment: Experiment,
    content: Mapping[str, Any],
    source: Source,
    tasks: Sequence[Task],
    processes: int,
) -> Iterator[Measured]:
    if processes == 1 or len(tasks) <= FEW_RUNS:
        for place, repetition in tasks:
            yield run_once(experiment, place, repetition)
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(
        min(processes, len(tasks)), context, _start_worker, (dict(content), source)
    ) as pool:
        yield from pool.map(_work, tasks, chunksize=max(1, len(tasks) // (16 * processes)))


def _start_worker(content: dict[str, Any], source: Source) -> None:
    _prepared["experiment"] = prepare(build_scenario(content, source), source)


def _work(task: Task) -> Measured:
    return run_once(_prepared["experiment"], *task)


def _describe_fabric(experiment: Experiment) -> dict[str, Any]:
    fabric = experiment.fabric
    endpoints = len(fabric.endpoints)
    rates = sorted({link.rate_gbps for link in fabric.links})
    return {
        "name": fabric.name,
        "plan": fabric.plan,
        "endpoints": endpoints,
        "switches": int((experiment.routes.row >= 0).sum()),
        "links": len(fabric.links),
        "rates_gbps": rates,
        "optics": sum(link.optics for link in fabric.links),
        "optics_per_endpoint": sum(link.optics for link in fabric.links) / max(endpoints, 1),
    }


def _describe_scenario(experiment: Experiment) -> dict[str, Any]:
    scenario = experiment.scenario
    return {
        "name": scenario.name,
        "seed": scenario.seed,
        "repetitions": scenario.repetitions,
        "engine": scenario.engine,
        "engine_used": choose_engine(experiment),
        "profile": scenario.profile,
        "balancing": scenario.balancing.model_dump(),
        "nic": {**asdict(scenario.nic), "ack_timeout_us": scenario.nic.timeout_ns / 1e3},
        "switch": asdict(scenario.switch),
        "failures": [failure.name for failure in experiment.failures],
        "failure_kinds": [failure.kind for failure in experiment.failures],
        "failure_us": None if not experiment.failures else experiment.start_ns / 1e3,
        "recovery": [part.shown for part in scenario.recovery],
        "parameters": {
            part.shown: part.parameters for part in scenario.recovery if part.parameters
        },
        "taps": [tap.link for tap in scenario.taps],
    }


def _describe_workload(experiment: Experiment, baselines: Sequence[Measured]) -> dict[str, Any]:
    jobs = experiment.jobs
    number = int(experiment.foreground[0])
    first = jobs[number]
    ends = [_first_iteration_ns(run, number) for run in baselines]
    known = [end for end in ends if end is not None]
    rates = [bus_bandwidth_gbps(first, end) for end in known]
    return {
        "jobs": [
            {
                "name": job.name,
                "operation": job.operation,
                "algorithm": job.algorithm,
                "ranks": job.ranks,
                "message_bytes": job.message_bytes,
                "iterations": job.iterations,
            }
            for job in jobs[:1000]
        ],
        "jobs_total": len(jobs),
        "transfers": experiment.transfer_count,
        "bytes": experiment.payload_bytes,
        "baseline_us": summarise(
            [None if run.makespan_ns is None else run.makespan_ns / 1e3 for run in baselines]
        ),
        "busbw_gbps": sum(r for r in rates if r) / len(rates) if rates and rates[0] else None,
        "stalled": dict(baselines[0].stalled),
    }


def _first_iteration_ns(run: Measured, number: int) -> float | None:
    """Return how long the first iteration of a job took."""
    return next((end for job, _, end in run.iteration_ends if job == number), None)
