"""What a scenario may say: fabric, workload, failures, recovery schemes, and how they are run.

Names and shapes only: what is read from a file stands in scenario_file.py, what a scenario means
on a fabric in experiment.py. Times, sizes and rates are written with their unit (`1ms`, `1GiB`).
"""

from collections.abc import Callable
from typing import Annotated, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from fabricscope.errors import FabricError
from fabricscope.topology.failure_specs import FailureSpec
from fabricscope.topology.packet_level.parameters import Nic, SwitchModel
from fabricscope.topology.quantities import parse_share, parse_size_bytes, parse_time_ns
from fabricscope.topology.routing.balancing import Balancing, parse_balancing
from fabricscope.topology.routing.pinning import GivenPath
from fabricscope.topology.workloads.spec import ALGORITHMS, Workload, parse_workload

__all__ = [
    "ENGINES",
    "BalancingPart",
    "Part",
    "PathPart",
    "RecoveryPart",
    "Scenario",
    "TapPart",
    "WorkloadPart",
]

ENGINES = ("auto", "flow", "packet", "hybrid")
MAX_REPETITIONS = 10_000
MAX_RANKS = 1 << 17
T = TypeVar("T")


def _parse(parse: Callable[[str], T], value: str) -> T:
    """Return what `parse` makes of a text; what it refuses becomes an error of this model."""
    try:
        return parse(value)
    except FabricError as error:
        raise ValueError(str(error)) from None


def _reader(parse: Callable[[str], object]) -> BeforeValidator:
    return BeforeValidator(lambda value: _parse(parse, value) if isinstance(value, str) else value)


def _written(like: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "examples": [like]})


def _needs_unit(like: str) -> BeforeValidator:
    def check(value: object) -> object:
        if not isinstance(value, str):
            raise ValueError(f"write it as text with its unit, such as {like!r}")
        return value

    return BeforeValidator(check)


Time = Annotated[
    float,
    Field(ge=0, le=1e17, allow_inf_nan=False),
    _reader(parse_time_ns),
    _needs_unit("1ms"),
    _written("1ms"),
]
"""ns, written with a unit; at most three years."""
Size = Annotated[
    int, Field(ge=1, le=1 << 50), _reader(parse_size_bytes), _needs_unit("1GiB"), _written("1GiB")
]
Share = Annotated[float, Field(ge=0, le=1), _reader(parse_share)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class Part(BaseModel):
    """Base of all parts: an unknown key is an error, and nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)


class WorkloadPart(Part):
    """One kind of job; written as text it is OPERATION[:ALGORITHM]:SIZE[:KEY=VALUE]..."""

    name: str = Field(default="", description="what `after` of another workload refers to")
    operation: Name = Field(description="allreduce, allgather, reducescatter, alltoall, p2p, ...")
    algorithm: str = Field(default="", description="ring, tree, ...; else the operation's own")
    size_bytes: Size = Field(alias="size", description="S as nccl-tests count it")
    iterations: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    jobs: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=1, description="how many such jobs run side by side"
    )
    ranks: Annotated[int, Field(ge=0, le=MAX_RANKS)] = Field(
        default=0, description="of each job; 0: all endpoints, shared equally"
    )
    order: Literal["linear", "rail", "random"] = Field(
        default="linear", description="how endpoints become ranks"
    )
    compute_ns: Time = Field(
        default=0.0, alias="compute", description="of each rank before each iteration"
    )
    start_ns: Time = Field(default=0.0, alias="start", description="before the first iteration")
    batches: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=8, description="micro-batches of a pipeline"
    )
    load: Share = Field(
        default=0.0, description="of a background: share of its ranks' rate, such as '30%'"
    )
    duration_ns: Time = Field(
        default=0.0, alias="duration", description="of a background: its last message begins before"
    )
    after: tuple[Name, ...] = Field(
        default=(), description="names of workloads that must have ended before"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        known = _parse(parse_workload, value)
        return {
            "operation": known.operation,
            "algorithm": known.algorithm,
            "size": f"{known.size_bytes}B",
            "iterations": known.iterations,
            "jobs": known.jobs,
            "ranks": known.ranks,
            "order": known.order,
            "compute": f"{known.compute_ns!r}ns",
            "batches": known.batches,
            "load": known.load,
            "duration": f"{known.duration_ns!r}ns",
        }

    @model_validator(mode="after")
    def _known(self) -> "WorkloadPart":
        known = ALGORITHMS.get(self.operation)
        if known is None:
            raise ValueError(
                f"operation {self.operation!r} is none of {', '.join(ALGORITHMS)}; take one of them"
            )
        if self.algorithm and self.algorithm not in known:
            raise ValueError(
                f"{self.operation} knows {', '.join(known)}, not {self.algorithm!r}; take one"
            )
        return self

    def specify(self, seed: int) -> Workload:
        """Return the workload to build, its random order drawn from `seed`."""
        return Workload(
            self.operation,
            self.algorithm or ALGORITHMS[self.operation][0],
            self.size_bytes,
            self.iterations,
            self.jobs,
            self.ranks,
            self.order,
            self.compute_ns,
            self.batches,
            seed,
            self.load,
            self.duration_ns,
        )


class RecoveryPart(Part):
    """One recovery scheme; written as text it is its name."""

    name: Name = Field(description="dpfr, bgp, ospf, bfd, none, ...")
    label: str = Field(
        default="", description="its name in the results, where several have one name"
    )
    profile: str = Field(default="", description="asic or frr; else the scenario's own")
    parameters: dict[str, bool | int | float | str] = Field(
        default_factory=dict, description="parameters that differ from the profile's"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value

    @property
    def shown(self) -> str:
        """Return what results call this scheme."""
        return self.label or self.name


class PathPart(Part):
    """A path that queue pairs are pinned to."""

    source: Name = Field(alias="from", description="the sending endpoint's name, with * and ?")
    destination: Name = Field(alias="to", description="the receiving endpoint's name, likewise")
    via: tuple[Name, ...] = Field(
        min_length=1, max_length=8, description="names of switches that the path leads over"
    )

    @field_validator("via", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value


class BalancingPart(Part):
    """How flows are spread over equal paths; written as text it is KIND[:VALUE][:polarised]."""

    kind: Literal["ecmp", "qp-scaling", "spray", "flowlet", "pinned"] = "ecmp"
    queue_pairs: Annotated[int, Field(ge=1, le=99)] = Field(
        default=1, description="queue pairs that each message is cut over"
    )
    flowlet_gap_ns: Time = Field(
        default=50_000.0, alias="flowlet_gap", description="a pause after which the hash is new"
    )
    polarised: bool = Field(default=False, description="all switches hash alike")
    paths: tuple[PathPart, ...] = Field(
        default=(), max_length=100_000, description="of kind pinned; the others meet the least load"
    )

    @model_validator(mode="after")
    def _pinned(self) -> "BalancingPart":
        if self.paths and self.kind != "pinned":
            raise ValueError(f"paths are of kind pinned, not {self.kind}; leave one of them out")
        return self

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        known = _parse(parse_balancing, value)
        return {
            "kind": known.kind,
            "queue_pairs": known.queue_pairs,
            "flowlet_gap": f"{known.flowlet_gap_ns!r}ns",
            "polarised": known.polarised,
        }

    def specify(self) -> Balancing:
        """Return the balancing, with any seed."""
        paths = tuple(GivenPath(path.source, path.destination, path.via) for path in self.paths)
        return Balancing(
            self.kind, self.queue_pairs, self.flowlet_gap_ns, self.polarised, paths=paths
        )


class TapPart(Part):
    """A mirror port; written as text it is the link that it copies, both directions."""

    link: Name = Field(description="a link's name, such as leaf3-spine1")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return {"link": value} if isinstance(value, str) else value


class Scenario(Part):
    """One experiment: the same workload and failures under each recovery scheme, repeated."""

    name: str = ""
    fabric: Name = Field(
        description="a builder's short form, a preset's name, or a fabric file beside the scenario"
    )
    workload: tuple[WorkloadPart, ...] = Field(min_length=1, max_length=1000)
    failures: tuple[FailureSpec, ...] = Field(default=(), max_length=1000)
    recovery: tuple[RecoveryPart, ...] = Field(
        default=(RecoveryPart(name="dpfr"), RecoveryPart(name="none")), min_length=1, max_length=100
    )
    profile: Name = Field(
        default="asic", description="recovery parameters: asic (published), frr (lab)"
    )
    balancing: BalancingPart = BalancingPart()
    nic: Nic = Field(default_factory=Nic)
    switch: SwitchModel = Field(default_factory=SwitchModel)
    taps: tuple[TapPart, ...] = Field(default=(), max_length=64)
    engine: Literal["auto", "flow", "packet", "hybrid"] = "auto"
    repetitions: Annotated[int, Field(ge=1, le=MAX_REPETITIONS)] = 1
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 1

    @model_validator(mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        for key in ("workload", "failures", "recovery", "taps"):
            if isinstance(value.get(key), str | dict):
                value = {**value, key: [value[key]]}
        return value

    @field_validator("nic", mode="before")
    @classmethod
    def _without_congestion_control(cls, value: object) -> object:
        if isinstance(value, dict) and value.get("dcqcn") is False:
            return {**value, "dcqcn": None}
        return value

    @field_validator("workload")
    @classmethod
    def _ordered(cls, parts: tuple[WorkloadPart, ...]) -> tuple[WorkloadPart, ...]:
        names = [part.name for part in parts if part.name]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two workloads are called {name!r}; give them different names")
        waiting = {part.name: set(part.after) for part in parts if part.name}
        for part in parts:
            for name in part.after:
                if name not in waiting:
                    raise ValueError(f"after names {name!r}, which no workload is called")
        while ready := [name for name, after in waiting.items() if not after & waiting.keys()]:
            for name in ready:
                del waiting[name]
        if waiting:
            raise ValueError(
                f"there is a cycle: {' and '.join(sorted(waiting)[:4])} wait for one another "
                "(after); remove one of the waits"
            )
        return parts

    @field_validator("recovery")
    @classmethod
    def _distinct(cls, parts: tuple[RecoveryPart, ...]) -> tuple[RecoveryPart, ...]:
        shown = [part.shown for part in parts]
        for name in shown:
            if shown.count(name) > 1:
                raise ValueError(f"{name} is named twice; give one of them another label")
        return parts
