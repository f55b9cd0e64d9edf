"""Training jobs in words and numbers: who holds a job back, its facts, its collectives.

Shared by the terminal and the HTML report. Knows neither colours nor widths. Whatever the document
does not say about a job is left out here.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from fabricscope.dashboard.evidence import format_value
from fabricscope.dashboard.quantities import (
    format_bit_rate,
    format_bytes,
    format_count,
    format_duration,
    format_share,
)
from fabricscope.dashboard.summary import Document, Total

OPERATIONS: Final = {
    "allreduce": "AllReduce",
    "allgather": "AllGather",
    "reducescatter": "ReduceScatter",
    "alltoall": "AllToAll",
    "broadcast": "Broadcast",
    "reduce": "Reduce",
    "p2p": "Send/receive",
    "barrier": "Barrier",
}
"""Names of the operations, as users of collective libraries write them."""

MATRIX_EDGE_SHARE: Final = 0.01
"""An edge of the traffic matrix with a smaller part of the largest one's bytes is not drawn."""

Edge = tuple[str, str]


class Job(NamedTuple):
    """A job of the document with its collectives; `number` counts from 1."""

    number: int
    entry: Mapping[str, Any]
    collectives: list[Mapping[str, Any]]

    @property
    def main(self) -> Mapping[str, Any] | None:
        """The collective that a drawing of the job shows: a held-back one, else that of most data.

        None without any.
        """
        return max(
            self.collectives,
            key=lambda one: (
                bool(one.get("straggler")),
                (one.get("message_bytes") or 0) * (one.get("iterations") or 1),
            ),
            default=None,
        )

    @property
    def ranks(self) -> list[str]:
        """Addresses of the ranks, in ring order where the main collective is a ring of them all."""
        members = [str(rank) for rank in self.entry["ranks"]]
        if self.main is not None and self.main.get("algorithm") == "ring":
            order = [str(rank) for rank in self.main["ranks"]]
            return order if len(order) == len(members) else members
        return members


class Suspect(NamedTuple):
    """Who holds a job back: a rank (`compute`) or a direction of its link (`link`)."""

    kind: str
    ip: str
    direction: str
    late_ms: float | None
    rate_gbps: float | None

    @property
    def label(self) -> str:
        """Return what is wrong in a few words."""
        if self.kind == "link":
            rate = f" {format_bit_rate(self.rate_gbps * 1e9)}" if self.rate_gbps else ""
            link = {"up": "uplink", "down": "downlink"}.get(self.direction, "link")
            return f"slow {link}{rate}"
        late = f" {format_duration(self.late_ms / 1e3)}" if self.late_ms else ""
        return f"late{late}"


def list_jobs(document: Document) -> list[Job]:
    """Return the jobs, each with the collectives among its ranks.

    Collectives that no job accounts for make up jobs of their own, of which only the ranks are
    known.
    """
    entries: list[Mapping[str, Any]] = list(document["jobs"])
    members = [frozenset(map(str, job["ranks"])) for job in entries]
    collectives: list[list[Mapping[str, Any]]] = [[] for _ in entries]
    for collective in document["collectives"]:
        ranks = frozenset(map(str, collective["ranks"]))
        place = collective.get("job")
        if not isinstance(place, int) or not 0 <= place < len(document["jobs"]):
            place = next((k for k, hosts in enumerate(members) if ranks <= hosts), None)
        if place is None:
            place = len(entries)
            entries.append({"ranks": collective["ranks"]})
            members.append(ranks)
            collectives.append([])
        collectives[place].append(collective)
    return [
        Job(number, entry, found)
        for number, (entry, found) in enumerate(zip(entries, collectives, strict=True), 1)
    ]


def read_suspect(given: Mapping[str, Any]) -> Suspect:
    """Return the straggler of a collective, as the document has it."""
    return Suspect(
        str(given.get("kind") or "compute"),
        str(given.get("ip") or ""),
        str(given.get("direction") or ""),
        given.get("late_ms"),
        given.get("rate_gbps"),
    )


def suspects(job: Job) -> list[Suspect]:
    """Return the stragglers named by the job's collectives, each once, the latest first."""
    found: dict[tuple[str, str, str], Suspect] = {}
    for collective in job.collectives:
        given = collective.get("straggler")
        if not given:
            continue
        suspect = read_suspect(given)
        key = (suspect.kind, suspect.ip, suspect.direction)
        if key not in found or (suspect.late_ms or 0) > (found[key].late_ms or 0):
            found[key] = suspect
    return sorted(found.values(), key=lambda suspect: -(suspect.late_ms or 0))


def describe_diagnosis(job: Job) -> str:
    """Return one sentence: who holds the job back, or that nobody does."""
    given = job.entry.get("diagnosis")
    if given:
        return format_value(given)
    found = suspects(job)
    if not found:
        if not job.collectives:
            return "No collective was recognised, so nobody can say who holds the job back."
        partial = any(one.get("partial_view") for one in job.collectives)
        return "No rank and no link holds the job back" + (
            ", as far as the captured part of it shows." if partial else "."
        )
    worst = found[0]
    if worst.kind == "link":
        return f"A link of {worst.ip} holds the job back: {worst.label}."
    by = f", {format_duration(worst.late_ms / 1e3)} after the others" if worst.late_ms else ""
    return f"Rank {worst.ip} holds the job back: it comes to each collective last{by}."


def name_operation(collective: Mapping[str, Any]) -> str:
    """Return the name of a collective's operation."""
    operation = str(collective.get("operation", "unknown"))
    return OPERATIONS.get(operation, operation)


def name_collective(collective: Mapping[str, Any]) -> str:
    """Return operation, algorithm and size of a collective."""
    algorithm = str(collective.get("algorithm") or "unknown").replace("_", "-")
    named = "" if algorithm == "unknown" else f" {algorithm}"
    return f"{name_operation(collective)}{named}{_size(collective)}"


def name_briefly(collective: Mapping[str, Any]) -> str:
    """Return operation and size of a collective."""
    return f"{name_operation(collective)}{_size(collective)}"


def _size(collective: Mapping[str, Any]) -> str:
    size = collective.get("message_bytes")
    return f" {format_bytes(size)}" if size else ""


def count_ranks(collective: Mapping[str, Any]) -> int:
    """Return how many ranks took part, also those that no tap saw."""
    return int(collective.get("rank_count") or len(collective["ranks"]))


def statistic(value: object, name: str = "p50") -> float | None:
    """Return one number of {p50, p99, max, ...}; a plain number is every one of them."""
    if isinstance(value, Mapping):
        value = value.get(name)
    return float(value) if isinstance(value, int | float) else None


def spans_of(collective: Mapping[str, Any]) -> list[Sequence[int]]:
    """Return [start_ns, end_ns] of each iteration."""
    return list(collective.get("iteration_spans") or [])


def bus_factor(collective: Mapping[str, Any]) -> float:
    """Return busbw / algbw (nccl-tests), which depends on the operation and the ranks alone."""
    count = count_ranks(collective)
    operation = collective.get("operation")
    if operation == "allreduce" and count:
        return 2 * (count - 1) / count
    if operation in ("allgather", "reducescatter", "alltoall") and count:
        return (count - 1) / count
    return 1.0


def bus_bandwidths_gbps(collective: Mapping[str, Any]) -> list[float | None]:
    """Return the bus bandwidth of each iteration, None where it took no time that was seen."""
    size = collective.get("message_bytes") or 0
    factor = bus_factor(collective)
    return [
        size * 8 * factor / (end - start) if size and end > start else None
        for start, end in spans_of(collective)
    ]


def edges_of(job: Job, document: Document) -> list[Edge]:
    """Return who sends to whom: the ring's own order, else the traffic matrix among the ranks.

    A ring that was seen in part is not closed.
    """
    ranks = job.ranks
    main = job.main
    if main is not None and main.get("algorithm") == "ring":
        order = [str(rank) for rank in main["ranks"]]
        closing = [] if main.get("partial_view") else [(order[-1], order[0])]
        return [*pairwise(order), *closing]
    matrix = document["traffic_matrix"]
    place = {str(host): index for index, host in enumerate(matrix["hosts"])}
    volumes = {
        (one, other): matrix["bytes"][place[one]][place[other]]
        for one in ranks
        for other in ranks
        if one != other and one in place and other in place
    }
    least = max(volumes.values(), default=0) * MATRIX_EDGE_SHARE
    return [edge for edge, volume in volumes.items() if volume and volume >= least]


def slow_edges(suspect: Suspect, edges: Sequence[Edge]) -> set[Edge]:
    """Return the edges that a slow link's direction stands for; none for a compute straggler."""
    if suspect.kind != "link":
        return set()
    direction = suspect.direction.lower()
    if "->" in direction:
        one, _, other = (part.strip() for part in direction.partition("->"))
        return {edge for edge in edges if edge == (one, other)}
    if direction.startswith(("up", "out", "tx", "send", "egress")):
        return {edge for edge in edges if edge[0] == suspect.ip}
    if direction.startswith(("down", "in", "rx", "receive")):
        return {edge for edge in edges if edge[1] == suspect.ip}
    return {edge for edge in edges if suspect.ip in edge}


def list_checkpoints(job: Job, start_ns: int) -> list[dict[str, Any]]:
    """Return the job's checkpoints, each with `start_s` since `start_ns`."""
    return [
        {**one, "start_s": (one["start_ns"] - start_ns) / 1e9 if one.get("start_ns") else None}
        for one in job.entry.get("checkpoints") or []
    ]


def list_job_facts(job: Job) -> list[Total]:
    """Return the numbers of the job as a whole, without those that are not known."""
    entry = job.entry
    facts = [Total("Ranks", format_count(len(job.ranks)), _parallelism(entry))]
    if entry.get("steps") is not None:
        facts.append(Total("Steps", format_count(entry["steps"])))
    facts.extend(_step_facts(entry))
    share = statistic(entry.get("communication_share"))
    # Of a single step nothing but its communication is seen, so the share would say nothing.
    if share is not None and entry.get("steps", 2) > 1:
        facts.append(Total("Communication", format_share(share), "of the time"))
    facts.extend(_overlap_facts(entry.get("overlap") or {}))
    facts.extend(_checkpoint_facts(entry.get("checkpoints") or []))
    facts.extend(_read_facts(entry.get("dataset_reads")))
    if lost := statistic(entry.get("mirror_lost")):
        facts.append(Total("Mirror lost", format_share(lost), "of the job's packets"))
    return facts


def _parallelism(entry: Mapping[str, Any]) -> str:
    """Return the kinds of parallelism, given as one or a list."""
    given = entry.get("parallelism")
    kinds = [given] if isinstance(given, str) else list(given or [])
    return f"{', '.join(str(kind) for kind in kinds)} parallel".replace("_", " ") if kinds else ""


def _step_facts(entry: Mapping[str, Any]) -> list[Total]:
    facts = []
    step_ms = entry.get("step_ms")
    typical, slow = statistic(step_ms), statistic(step_ms, "p99")
    if typical is not None:
        note = f"p99 {format_duration(slow / 1e3)}" if isinstance(step_ms, Mapping) and slow else ""
        facts.append(Total("Step time", format_duration(typical / 1e3), note))
    jitter_ms = statistic(entry.get("step_jitter_ms"))
    if jitter_ms is not None:
        note = f"{format_share(jitter_ms / typical)} of the step time" if typical else ""
        facts.append(Total("Jitter", format_duration(jitter_ms / 1e3), note))
    step_bytes = statistic(entry.get("step_bytes"))
    if step_bytes:
        facts.append(Total("Data per step", format_bytes(step_bytes), "S of its collectives"))
    return facts


def _overlap_facts(overlap: Mapping[str, Any]) -> list[Total]:
    share, exposed_ms = overlap.get("overlappable_share"), overlap.get("exposed_ms")
    if share is None or exposed_ms is None:
        return []
    note = f"of communication at most; {format_duration(exposed_ms / 1e3)} a step exposed"
    return [Total("Overlap", format_share(share), note)]


def _checkpoint_facts(checkpoints: Sequence[Mapping[str, Any]]) -> list[Total]:
    if not checkpoints:
        return []
    notes = [format_bytes(sum(int(one.get("bytes") or 0) for one in checkpoints))]
    costs = [float(one["cost_ms"]) for one in checkpoints if one.get("cost_ms") is not None]
    if costs:
        notes.append(f"cost {format_duration(sum(costs) / 1e3)}")
    return [Total("Checkpoints", format_count(len(checkpoints)), ", ".join(notes))]


def _read_facts(reads: Mapping[str, Any] | None) -> list[Total]:
    if not reads:
        return []
    notes = [format_bytes(reads.get("bytes"))]
    if (typical := statistic(reads.get("ms_p50"))) is not None:
        notes.append(f"each {format_duration(typical / 1e3)}")
    if (longest := statistic(reads.get("ms_max"))) is not None:
        notes.append(f"at most {format_duration(longest / 1e3)}")
    return [Total("Data set reads", format_count(reads.get("reads")), ", ".join(notes))]
