"""A simulated fabric as a source of samples: what its switches would count, second by second.

Each second is one run of the flow-level engine: a training job that begins with the second and is
cut at its end, under the failures that the story has for that second. Nothing is measured here;
whoever shows these samples says so, and their source is `simulated`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fabricscope.collectors.ports import PortInterval
from fabricscope.pipeline.live.naming import Naming
from fabricscope.pipeline.live.ports import port_samples
from fabricscope.schemas import schema_of
from fabricscope.topology.engines import Answers, answer, draw, flow_options
from fabricscope.topology.experiment import Experiment, prepare
from fabricscope.topology.flow_level.engine import FlowRun
from fabricscope.topology.flow_level.timeline import moments_of
from fabricscope.topology.scenario import Scenario
from fabricscope.topology.scenario_file import Source
from fabricscope.topology.workloads.spec import job_ranks

__all__ = ["Episode", "SimulatedFabric", "Training"]

SECOND_NS: Final = 1_000_000_000
BURST_NS: Final = 10_000_000
UNLOADED_DBM: Final = -1.5
"""Optical power that a healthy lane receives in the story; it is an assumption, not a model."""


@dataclass(frozen=True)
class Training:
    """The job that the fabric carries: a ring AllReduce over all its hosts, then computing.

    iterations: at most so many in a second. order: of the ranks, as in a scenario.
    """

    size_bytes: int = 1 << 30
    compute_ns: float = 20e6
    queue_pairs: int = 2
    iterations: int = 20
    order: str = "random"


@dataclass(frozen=True)
class Episode:
    """From `begin_s` to `end_s` of each turn of the story something is wrong.

    target: a link or one direction of it, as in a scenario. modifiers: as in a scenario, `{share}`
    in them is replaced by how far the episode has come, 0 to 1. power_db: optical power that the
    link has lost at its end.
    """

    begin_s: int
    end_s: int
    target: str
    modifiers: str = ""
    power_db: float = 0.0


class SimulatedFabric:
    """Samples of a fabric that exists in the simulator only; one turn of the story after another.

    spec: the fabric, as `fabricscope simulate --fabric` takes it. turn_s: length of a turn.
    Raises FabricError for a fabric or an episode that does not fit.
    """

    def __init__(
        self,
        spec: str,
        collector: str,
        story: Sequence[Episode] = (),
        training: Training | None = None,
        *,
        turn_s: int = 120,
        recovery: str = "dpfr",
        seed: int = 1,
    ) -> None:
        """Build the fabric and look whether all episodes fit it."""
        self._spec = spec
        self._collector = collector
        self._story = tuple(story)
        self._training = training or Training()
        self._turn_s = turn_s
        self._recovery = recovery
        self._seed = seed
        self._second = 0
        healthy = self._prepare(())
        self.fabric = healthy.fabric
        (ranks,) = job_ranks(self.fabric, healthy.scenario.workload[0].specify(seed))
        self._ranks = [self.fabric.devices[rank].name for rank in ranks.tolist()]
        for episode in self._story:
            self._prepare((self._specify(episode, episode.begin_s),))
        tier = np.array([device.tier for device in self.fabric.devices])
        channels = self.fabric.channels
        self._up = tier[channels.target] > tier[channels.source]

    def poll(self) -> None:
        """Do nothing: the second is simulated when it ends."""

    def sample(self, start_ns: int, end_ns: int) -> dict[str, pl.DataFrame]:
        """Return the next second's rows: link_samples, rdma_samples and iterations."""
        at_s = self._second % self._turn_s
        self._second += 1
        active = [one for one in self._story if one.begin_s <= at_s < one.end_s]
        experiment = self._prepare(tuple(self._specify(one, at_s) for one in active))
        chance = draw(experiment, 0)
        answers = answer(experiment, chance, 0) if experiment.failures else Answers((), (), ())
        nic = experiment.scenario.nic
        options = flow_options(nic, chance.seed)
        run = FlowRun(
            experiment.fabric, experiment.routes, chance.balancing, experiment.transfers,
            answers.plans, options,
        )  # fmt: skip
        packet_bytes = nic.mtu_bytes + nic.header_bytes
        sent = _run_second(run, answers) * (packet_bytes / nic.mtu_bytes)
        tables = {
            "link_samples": self._links(start_ns, sent, packet_bytes, experiment, active, at_s),
            "rdma_samples": self._queue_pairs(start_ns, run, nic.mtu_bytes),
            "iterations": self._iterations(start_ns, run),
        }
        return {name: frame for name, frame in tables.items() if not frame.is_empty()}

    def _prepare(self, failures: tuple[str, ...]) -> Experiment:
        training = self._training
        scenario = Scenario.model_validate(
            {
                "fabric": self._spec,
                "workload": [
                    {
                        "operation": "allreduce",
                        "algorithm": "ring",
                        "size": f"{training.size_bytes}B",
                        "compute": f"{training.compute_ns}ns",
                        "iterations": training.iterations,
                        "order": training.order,
                    }
                ],
                "failures": list(failures),
                "recovery": [self._recovery],
                "balancing": {"kind": "qp-scaling", "queue_pairs": training.queue_pairs},
                "engine": "flow",
                "seed": self._seed,
            }
        )
        return prepare(scenario, Source())

    def _specify(self, episode: Episode, at_s: int) -> str:
        """Return the failure of one second: it begins and ends within the first and last one."""
        begins_ms = 300 if at_s == episode.begin_s else 0
        until = "..700ms" if at_s == episode.end_s - 1 else ""
        share = (at_s - episode.begin_s + 1) / (episode.end_s - episode.begin_s)
        modifiers = episode.modifiers.format(share=share)
        return f"{episode.target}@{begins_ms}ms{until}{modifiers}"

    def _links(
        self,
        start_ns: int,
        sent: NDArray[np.float64],
        packet_bytes: int,
        experiment: Experiment,
        active: Sequence[Episode],
        at_s: int,
    ) -> pl.DataFrame:
        """Return two rows a link. sent: bytes by burst interval and channel."""
        fabric = experiment.fabric
        total = sent.sum(axis=0)
        lost, flaps, down_ns = _troubles(experiment, total / packet_bytes)
        power = np.full(len(fabric.links), UNLOADED_DBM)
        for episode in active:
            share = (at_s - episode.begin_s + 1) / (episode.end_s - episode.begin_s)
            if episode.power_db:
                power[fabric.find_link(episode.target.replace(">", "-"))] -= (
                    episode.power_db * share
                )
        intervals = [
            PortInterval(
                port=fabric.link_names[channel // 2],
                direction="up" if self._up[channel] else "down",
                interval_ns=SECOND_NS,
                rate_gbps=float(fabric.channels.rate[channel]),
                packets=int(total[channel] / packet_bytes),
                bytes=int(total[channel]),
                errors=int(lost[channel]),
                flaps=int(flaps[channel]),
                down_ns=int(down_ns[channel]),
                rx_power_dbm=float(power[channel // 2]),
            )
            for channel in range(len(total))
        ]
        frame = port_samples(start_ns, self._collector, "simulated", intervals, Naming())
        burst = sent.max(axis=0) * 8 / (fabric.channels.rate * BURST_NS)
        return frame.with_columns(burst=pl.Series(burst))

    def _queue_pairs(self, start_ns: int, run: FlowRun, mtu_bytes: int) -> pl.DataFrame:
        """Return a row for each pair of ranks: what it carried, how long its messages took."""
        transfers, finish_ns = run.transfers, run.todo.finish_ns
        began_ns = transfers.delay_ns.copy()
        before = np.repeat(finish_ns, np.diff(transfers.successor_start))
        ready_ns = np.zeros(len(finish_ns))
        with np.errstate(invalid="ignore"):  # what never began is left out below
            np.maximum.at(ready_ns, transfers.successors, before)
        took_us = (finish_ns - ready_ns - began_ns) / 1_000
        done = np.isfinite(took_us) & (transfers.source != transfers.destination)
        names = [device.name for device in self.fabric.devices]
        frame = pl.DataFrame(
            {
                "source": transfers.source[done],
                "destination": transfers.destination[done],
                "dest_qp": transfers.queue_pair[done],
                "size": transfers.size_bytes[done],
                "packets": -(-transfers.size_bytes[done] // mtu_bytes),
                "took_us": took_us[done],
            }
        )
        rows = frame.group_by("source", "destination", "dest_qp", maintain_order=True).agg(
            pl.col("packets").sum(),
            pl.col("size").sum().alias("payload_bytes"),
            pl.len().alias("messages"),
            pl.col("took_us").quantile(0.5).alias("message_p50"),
            pl.col("took_us").quantile(0.99).alias("message_p99"),
            pl.col("took_us").max().alias("message_max"),
        )
        schema = schema_of("rdma_samples")
        known = rows.with_columns(
            time_ns=pl.lit(start_ns),
            collector=pl.lit(self._collector),
            src=pl.Series([names[k] for k in rows["source"].to_list()], dtype=pl.String),
            dst=pl.Series([names[k] for k in rows["destination"].to_list()], dtype=pl.String),
            transport=pl.lit("roce_v2"),
            state=pl.lit("active"),
        )
        filled = [
            pl.col(name) if name in known.columns else _nothing(name, dtype)
            for name, dtype in schema.items()
        ]
        return known.select(filled).cast(schema)  # type: ignore[arg-type]

    def _iterations(self, start_ns: int, run: FlowRun) -> pl.DataFrame:
        """Return the iterations that ended within the second."""
        ends = np.zeros(self._training.iterations)
        with np.errstate(invalid="ignore"):
            np.maximum.at(ends, run.transfers.iteration, run.todo.finish_ns)
        ends = ends[np.isfinite(ends) & (ends <= SECOND_NS)]
        if not ends.size:
            return pl.DataFrame()
        training = self._training
        begins = np.concatenate(([0.0], ends[:-1])) + training.compute_ns
        ranks = self._ranks
        algbw = training.size_bytes * 8 / (ends - begins)
        columns: dict[str, Any] = {
            "time_ns": (start_ns + begins).astype(np.int64),
            "collector": [self._collector] * ends.size,
            "job": [f"{ranks[0]} +{len(ranks) - 1}"] * ends.size,
            "operation": ["allreduce"] * ends.size,
            "algorithm": ["ring"] * ends.size,
            "ranks": [ranks] * ends.size,
            "end_ns": (start_ns + ends).astype(np.int64),
            "message_bytes": [training.size_bytes] * ends.size,
            "algbw_gbps": algbw,
            "busbw_gbps": algbw * 2 * (len(ranks) - 1) / len(ranks),
            "straggler": [""] * ends.size,
        }
        return pl.DataFrame(columns, schema=schema_of("iterations"))


def _run_second(run: FlowRun, answers: Answers) -> NDArray[np.float64]:
    """Let a second pass; return the bytes sent by burst interval and channel."""
    moments = list(moments_of(answers.failures, answers.plans, -1.0))
    cuts = np.arange(BURST_NS, SECOND_NS, BURST_NS).tolist()
    while moments or cuts:
        if moments and (not cuts or moments[0][0] <= cuts[0]):
            now_ns, what = moments.pop(0)
            if now_ns >= SECOND_NS:
                continue
            run.advance(now_ns)
            run.change(now_ns, what)
        else:
            now_ns = cuts.pop(0)
            run.advance(now_ns)
            run.cut_window(now_ns)
    run.advance(float(SECOND_NS))
    run.flush(float(SECOND_NS))
    return run.sent


def _troubles(
    experiment: Experiment, packets: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Return damaged packets, times gone down and time down (ns) of each channel."""
    lost = np.zeros(len(packets))
    flaps = np.zeros(len(packets), np.int64)
    down_ns = np.zeros(len(packets))
    for failure in experiment.failures:
        for event in failure.events:
            channel, left_ns = event.channel, max(SECOND_NS - event.time_ns, 0.0)
            if 0 < event.loss < 1:
                lost[channel] = packets[channel] * event.loss
            if event.rate_factor == 0:
                flaps[channel] += event.time_ns > 0
                down_ns[channel] += left_ns
            elif down_ns[channel]:
                down_ns[channel] -= left_ns
    return lost, flaps, down_ns


def _nothing(name: str, dtype: pl.DataType) -> pl.Expr:
    """Return a column of what a simulated queue pair does not have: no events, no latency."""
    return pl.lit(0 if dtype.is_integer() else None, dtype).alias(name)
