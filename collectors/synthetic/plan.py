"""The plan of a run: queue pairs and the tasks on them, before anything is simulated.

A task is a transfer on a flow or a compute pause; a task starts when those that it waits for
have ended. Collectives and streams fill the plan; the simulation turns it into arrays.
"""

from dataclasses import dataclass, field

from fabricscope.collectors.synthetic import tables as t

QP_BASE = 0x000100
QP_STEP = 7


@dataclass(slots=True)
class Flow:
    """One direction of a queue pair."""

    src: int
    dst: int
    reverse: int
    transport: int
    dest_qp: int
    job: int
    pair: int
    tasks: int = 0
    packets: int = 0


@dataclass(slots=True)
class Task:
    """A transfer (flow >= 0) or a compute pause."""

    flow: int
    size_bytes: int = 0
    operation: int = t.OP_WRITE
    immediate: bool = False
    delay_ns: int = 0
    span: int = -1
    role: int = t.ROLE_DATA
    rank: int = -1
    after: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Job:
    """A collective workload and the numbers of its iteration spans."""

    workload: int
    operation: str
    algorithm: str
    ranks: list[int]
    channels: int
    message_bytes: int
    spans: list[int] = field(default_factory=list)
    edges: list[tuple[int, int]] = field(default_factory=list)


class Plan:
    """Flows, tasks and jobs; `mtu` decides how many packets a transfer has."""

    def __init__(self, mtu: int) -> None:
        """Start empty."""
        self.mtu = mtu
        self.flows: list[Flow] = []
        self.tasks: list[Task] = []
        self.jobs: list[Job] = []
        self.spans = 0
        self._next_qp: dict[int, int] = {}

    def _queue_pair_number(self, host: int) -> int:
        """Return the next queue pair number of a host, as adapters count them."""
        number = self._next_qp.get(host, QP_BASE + 16 * (host % 64))
        self._next_qp[host] = number + QP_STEP
        return number

    def connect(self, src: int, dst: int, job: int, pair: int = 0, transport: int = t.RC) -> int:
        """Add both directions of a queue pair and return the flow from `src` to `dst`."""
        number = len(self.flows)
        source_qp, dest_qp = self._queue_pair_number(src), self._queue_pair_number(dst)
        self.flows.append(Flow(src, dst, number + 1, transport, dest_qp, job, pair))
        self.flows.append(Flow(dst, src, number, transport, source_qp, job, pair))
        return number

    def packets_of(self, size_bytes: int) -> int:
        """Return how many packets a transfer of this size has, at least one."""
        return max(1, -(-size_bytes // self.mtu))

    def add(self, task: Task) -> int:
        """Add a task and return its number."""
        self.tasks.append(task)
        if task.flow >= 0:
            flow = self.flows[task.flow]
            flow.tasks += 1
            single = task.operation >= t.OP_FETCH_ADD
            flow.packets += 1 if single else self.packets_of(task.size_bytes)
        return len(self.tasks) - 1

    def new_span(self) -> int:
        """Return a number for an iteration whose first and last packet are to be known."""
        self.spans += 1
        return self.spans - 1


def split(total: int, parts: int) -> list[int]:
    """Split a size into `parts` sizes that differ by at most one."""
    small, rest = divmod(total, parts)
    return [small + 1] * rest + [small] * (parts - rest)


def slices_of(size_bytes: int, slice_bytes: int) -> list[int]:
    """Split a size into messages of at most `slice_bytes`; one empty message for nothing."""
    full, rest = divmod(size_bytes, slice_bytes)
    return [slice_bytes] * full + ([rest] if rest or not full else [])
