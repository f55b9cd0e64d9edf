"""What a scenario means: its fabric, routes, transfers, failures and schemes, checked and built.

Nothing runs here. Whatever does not fit together is refused with the file and the key.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.errors import FabricError
from fabricscope.topology.builders import build
from fabricscope.topology.fabric import Fabric
from fabricscope.topology.failure_specs import compile_failure, endpoints_cut_off
from fabricscope.topology.failures import Failure, combine_failures
from fabricscope.topology.outcome import Iterations
from fabricscope.topology.recovery.plan import Scheme
from fabricscope.topology.recovery.registry import make_scheme
from fabricscope.topology.routing.balancing import assign_hashes, pair_ends
from fabricscope.topology.routing.routes import Routes, build_routes
from fabricscope.topology.scenario import Scenario, WorkloadPart
from fabricscope.topology.scenario_file import Source
from fabricscope.topology.workloads.rings import Rings, build_rings, ring_steps
from fabricscope.topology.workloads.spec import Workload, build_transfers, job_ranks
from fabricscope.topology.workloads.transfers import Transfers

__all__ = ["Experiment", "Job", "prepare"]

UNREACHABLE: Final = 255
MOST_WRITTEN: Final = 2_000_000
"""Rings with more transfers are run by rule: a hundred times as fast, and within 1 %."""


@dataclass(frozen=True)
class Job:
    """One job as the results name it."""

    name: str
    operation: str
    algorithm: str
    ranks: int
    message_bytes: int
    iterations: int


@dataclass(frozen=True)
class Experiment:
    """A scenario on its fabric, ready to run.

    taps: channels with a mirror port. rings: the workload by rule where it has too many transfers
    to write out; then `transfers` is empty.
    """

    scenario: Scenario
    source: Source
    fabric: Fabric
    routes: Routes
    failures: tuple[Failure, ...]
    schemes: tuple[Scheme, ...]
    transfers: Transfers
    jobs: tuple[Job, ...]
    taps: tuple[int, ...]
    rings: Rings | None = None

    @property
    def transfer_count(self) -> int:
        """Return how many transfers the workload has, written out or not."""
        return self.rings.transfers if self.rings else len(self.transfers.source)

    @property
    def payload_bytes(self) -> int:
        """Return what all transfers together carry."""
        if self.rings:
            return round(self.rings.transfers * self.rings.chunk_bytes)
        return int(self.transfers.size_bytes.sum())

    def count_packets(self) -> int:
        """Return the data packets that the workload sends when nothing is lost."""
        mtu = self.scenario.nic.mtu_bytes
        if self.rings:
            return self.rings.transfers * math.ceil(self.rings.chunk_bytes / mtu)
        return int((-(-self.transfers.size_bytes // mtu)).sum())

    @cached_property
    def foreground(self) -> NDArray[np.int64]:
        """Return the jobs whose ends count: all but backgrounds, unless there is nothing else."""
        jobs = [place for place, job in enumerate(self.jobs) if job.operation != "background"]
        return np.array(jobs or range(len(self.jobs)), np.int64)

    def completion_ns(self, iterations: Iterations) -> float:
        """Return when the last job that counts has ended; nan for never."""
        counts = np.isin(iterations.job, self.foreground)
        return float(iterations.end_ns[counts].max()) if counts.any() else 0.0

    @property
    def start_ns(self) -> float:
        """Return when the first failure begins; inf without one."""
        return min((failure.start_ns for failure in self.failures), default=float("inf"))

    @cached_property
    def switch_channels(self) -> NDArray[np.int64]:
        """Return the channels between switches."""
        row = self.routes.row
        channels = self.fabric.channels
        return np.flatnonzero((row[channels.source] >= 0) & (row[channels.target] >= 0))

    @cached_property
    def up_channels(self) -> NDArray[np.int64]:
        """Return the channels from a switch to one of a higher tier."""
        tier = np.array([device.tier for device in self.fabric.devices])
        channels = self.fabric.channels
        between = self.switch_channels
        return between[tier[channels.target[between]] > tier[channels.source[between]]]


def prepare(scenario: Scenario, source: Source) -> Experiment:
    """Return the experiment that `scenario` describes. Raises FabricError naming file and key."""
    with _placed(source, "fabric"):
        fabric = _build_fabric(_find_fabric(scenario.fabric, source))
    failures = []
    for place, spec in enumerate(scenario.failures):
        with _placed(source, f"failures.{place}"):
            failures.append(compile_failure(spec, fabric))
    if failures:  # schemes answer all of them together: one may take the way that another leaves
        failures = [combine_failures(failures)]
    with _placed(source, "fabric"):
        routes = build_routes(fabric, endpoints_cut_off(failures, fabric))
    schemes = []
    for place, part in enumerate(scenario.recovery):
        with _placed(source, f"recovery.{place}"):
            schemes.append(
                make_scheme(part.name, part.profile or scenario.profile, part.parameters)
            )
    with _placed(source, "workload"):
        transfers, jobs, rings = _build_jobs(fabric, scenario.workload, scenario.seed)
        _check_reachable(fabric, routes, *(rings.ends if rings else transfers[:2]))
    if scenario.balancing.paths:
        with _placed(source, "balancing"):
            sources, destinations = rings.ends if rings else pair_ends(transfers)
            assign_hashes(
                fabric, routes, scenario.balancing.specify(), sources, destinations
            )  # refuses paths that do not exist
    if rings and scenario.engine in ("packet", "hybrid"):
        raise source.error(
            "engine",
            f"{rings.transfers:,} transfers are too many for {scenario.engine}; take flow",
        )
    taps = []
    for place, tap in enumerate(scenario.taps):
        with _placed(source, f"taps.{place}"):
            link = fabric.find_link(tap.link)
        taps += [2 * link, 2 * link + 1]
    return Experiment(
        scenario, source, fabric, routes, tuple(failures), tuple(schemes), transfers, jobs,
        tuple(taps), rings,
    )  # fmt: skip


@contextmanager
def _placed(source: Source, key: str) -> Iterator[None]:
    """Let errors say where in the scenario they come from."""
    try:
        yield
    except FabricError as error:
        raise source.error(key, error) from None


def _find_fabric(spec: str, source: Source) -> str:
    """Return `spec`, or the path beside the scenario's file where there is such a file."""
    beside = source.folder / spec
    return str(beside) if len(spec) < 1000 and "\0" not in spec and beside.is_file() else spec


@lru_cache(maxsize=2)
def _build_fabric(spec: str) -> Fabric:
    """Return the fabric; the points of a sweep mostly have the same one."""
    return build(spec)


@lru_cache(maxsize=2)
def _build_jobs(
    fabric: Fabric, parts: tuple[WorkloadPart, ...], seed: int
) -> tuple[Transfers, tuple[Job, ...], Rings | None]:
    """Return the transfers and jobs, likewise; nobody changes them afterwards."""
    workloads = [part.specify(seed) for part in parts]
    rings = _find_rings(fabric, parts, workloads)
    transfers = Transfers.none() if rings else build_transfers(fabric, *workloads)[0]
    jobs: list[Job] = []
    numbers: dict[str, list[int]] = {}
    for part, workload in zip(parts, workloads, strict=True):
        for ranks in job_ranks(fabric, workload):
            numbers.setdefault(part.name, []).append(len(jobs))
            jobs.append(
                Job(
                    part.name,
                    workload.operation,
                    workload.algorithm,
                    len(ranks),
                    workload.size_bytes,
                    workload.iterations,
                )
            )
    if rings:
        return transfers, tuple(jobs), rings
    first = 0
    for part, workload in zip(parts, workloads, strict=True):
        own = np.arange(first, first + workload.jobs)
        first += workload.jobs
        if part.start_ns:
            entries = np.isin(transfers.job, own) & (transfers.waits == 0)
            transfers.delay_ns[entries] += part.start_ns
        before = [number for name in part.after for number in numbers[name]]
        if before:
            transfers = _wait_for(transfers, np.array(before), own)
    return transfers, tuple(jobs), None


def _find_rings(
    fabric: Fabric, parts: Sequence[WorkloadPart], workloads: Sequence[Workload]
) -> Rings | None:
    """Return the workload by rule if it is rings of one kind with too many transfers."""
    if len(parts) != 1 or not ring_steps(workloads[0], 2):
        return None
    rings = build_rings(fabric, workloads[0], parts[0].start_ns)
    return rings if rings.transfers > MOST_WRITTEN else None


def _wait_for(transfers: Transfers, before: NDArray[np.int64], own: NDArray[np.int64]) -> Transfers:
    """Return the transfers with a join behind all ends of jobs `before` that `own` waits for.

    The join is a transfer of nothing from an endpoint to itself, in the first of those jobs.
    """
    count = len(transfers.source)
    fan_out = np.diff(transfers.successor_start)
    ends = np.flatnonzero(np.isin(transfers.job, before) & (fan_out == 0))
    entries = np.flatnonzero(np.isin(transfers.job, own) & (transfers.waits == 0))
    waits = np.append(transfers.waits, np.int32(len(ends)))
    waits[entries] += 1
    extra = np.zeros(count + 1, np.int64)
    extra[ends] = 1
    extra[count] = len(entries)
    starts = np.zeros(count + 2, np.int64)
    np.cumsum(np.append(fan_out, 0) + extra, out=starts[1:])
    successors = np.empty(starts[-1], np.int32)
    rows = np.repeat(np.arange(count), fan_out)
    within = np.arange(len(transfers.successors)) - transfers.successor_start[rows]
    successors[starts[rows] + within] = transfers.successors
    successors[starts[ends]] = count
    successors[starts[count] :] = entries
    first = int(ends[0])
    return Transfers(
        source=np.append(transfers.source, transfers.source[first]),
        destination=np.append(transfers.destination, transfers.source[first]),
        size_bytes=np.append(transfers.size_bytes, 0),
        queue_pair=np.append(transfers.queue_pair, transfers.queue_pair.max() + 1),
        waits=waits,
        successor_start=starts,
        successors=successors,
        delay_ns=np.append(transfers.delay_ns, 0.0),
        job=np.append(transfers.job, transfers.job[first]),
        iteration=np.append(transfers.iteration, transfers.iteration[ends].max()),
        phase=np.append(transfers.phase, transfers.phase[ends].max()),
        operation=np.append(transfers.operation, transfers.operation[first]),
    )


def _check_reachable(
    fabric: Fabric, routes: Routes, sources: NDArray[np.int32], destinations: NDArray[np.int32]
) -> None:
    """Refuse transfers between endpoints that no path joins."""
    groups = routes.group
    count = len(fabric.devices)
    keys = np.unique(sources.astype(np.int64) * count + destinations)
    pairs = np.column_stack((keys // count, keys % count))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    rows = routes.row[routes.target[routes.uplinks[routes.uplink_start[pairs[:, 0]]]]]
    apart = np.flatnonzero(routes.distance[groups[pairs[:, 1]], rows] == UNREACHABLE)
    for place in apart.tolist():
        source, destination = (int(device) for device in pairs[place])
        choices = routes.uplinks[routes.uplink_start[source] : routes.uplink_start[source + 1]]
        reach = routes.distance[groups[destination], routes.row[routes.target[choices]]]
        if (reach == UNREACHABLE).all():
            names = (fabric.devices[source].name, fabric.devices[destination].name)
            raise FabricError(
                f"{names[0]} sends to {names[1]}, but no path joins them in {fabric.name}; add a "
                "link or leave one of them out"
            )
