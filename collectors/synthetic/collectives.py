"""Collective operations as tasks: who sends what to whom after having received what.

Ring, tree and halving-doubling follow their textbook schedules; messages, credits and
immediates follow NCCL as rdma.md describes it. Timing and faults live elsewhere.
"""

from collections.abc import Callable

from fabricscope.collectors.synthetic import tables as t
from fabricscope.collectors.synthetic.plan import Job, Plan, Task, slices_of, split
from fabricscope.collectors.synthetic.recipe import Collective

CREDIT_BYTES = 64
CREDIT_SLOTS = 8
"""NCCL's receive buffer has eight steps; a credit is granted for each."""

ComputeDelay = Callable[[int, int], int]
"""Host and iteration to the nanoseconds that the host computes before it communicates."""


class Schedule:
    """Adds the tasks of one collective workload to a plan."""

    def __init__(self, plan: Plan, spec: Collective, workload: int, hosts: int) -> None:
        """Note the ranks; all hosts when the recipe names none."""
        self.plan = plan
        self.spec = spec
        self.ranks = list(spec.ranks) or list(range(hosts))
        self.job_number = len(plan.jobs)
        self.sizes = list(spec.buckets) or [spec.message_bytes]
        # Buckets of one size are iterations of one collective; all share the connections.
        edges: list[tuple[int, int]] = []
        self.jobs = {
            size: Job(
                workload, spec.kind, spec.algorithm, self.ranks, spec.channels, size, edges=edges
            )
            for size in self.sizes
        }
        self.job = self.jobs[self.sizes[0]]
        plan.jobs += self.jobs.values()
        self._flows: dict[tuple[int, int, int], int] = {}
        self._sent: dict[int, list[int]] = {}
        self._timers: list[int] = []
        self._received: list[list[int]] = []
        self._posted: list[list[int]] = []
        self._span = -1
        self._size_bytes = 0

    def build(self, delay: ComputeDelay) -> None:
        """Add all iterations, one operation each or one a gradient bucket.

        Buckets become ready one after the other, in equal parts of the time that the host
        computes, while those before them are under way; they are sent in that order.
        """
        steps = {
            "allreduce": self._allreduce,
            "allgather": lambda: self._ring(len(self.ranks) - 1),
            "reducescatter": lambda: self._ring(len(self.ranks) - 1),
            "alltoall": self._alltoall,
            "broadcast": self._broadcast,
            "p2p": self._pipeline,
        }[self.spec.kind]
        start_ns = int(self.spec.start_us * 1000)
        self._received = [[] for _ in self.ranks]
        for iteration in range(self.spec.iterations):
            computed = self._received
            for number, size in enumerate(self.sizes):
                before = self._received
                self._begin(size)
                ready = []
                for rank, host in enumerate(self.ranks):
                    wait_ns = delay(host, iteration) // len(self.sizes)
                    if iteration == 0 and number == 0:
                        wait_ns += start_ns
                    ready.append([self._compute(rank, wait_ns, computed[rank])])
                computed = ready
                self._timers = [own[0] for own in ready]
                if number > 0:
                    self._timers = [
                        self._compute(rank, 0, [*ready[rank], *before[rank]])
                        for rank in range(len(self.ranks))
                    ]
                self._received = [[timer] for timer in self._timers]
                self._posted = [[] for _ in self.ranks]
                steps()
                for received, posted in zip(self._received, self._posted, strict=True):
                    # Who hears nothing has its buffer back when what it sent has arrived.
                    if len(received) == 1:
                        received += posted

    def _begin(self, size_bytes: int) -> None:
        """Begin an operation of this size."""
        self.job = self.jobs[size_bytes]
        self._size_bytes = size_bytes
        self._span = self.plan.new_span()
        self.job.spans.append(self._span)

    def _compute(self, rank: int, wait_ns: int, after: list[int]) -> int:
        """Return the task during which a rank computes."""
        return self.plan.add(
            Task(-1, delay_ns=wait_ns, role=t.ROLE_COMPUTE, rank=rank, after=after)
        )

    def _flow(self, source: int, destination: int, channel: int) -> int:
        """Return the flow between two ranks for a channel, connecting it at first use."""
        key = (source, destination, channel)
        if key not in self._flows:
            self._flows[key] = self.plan.connect(
                self.ranks[source], self.ranks[destination], self.job_number, channel
            )
            edge = (self.ranks[source], self.ranks[destination])
            if edge not in self.job.edges:
                self.job.edges.append(edge)
        return self._flows[key]

    def _message(
        self, source: int, destination: int, channel: int, size_bytes: int, after: list[int]
    ) -> int:
        """Add one message with its credit; return the task that ends when it has arrived."""
        flow = self._flow(source, destination, channel)
        sent = self._sent.setdefault(flow, [])
        waits = list(after)
        if self.spec.credits:
            granted = [self._timers[destination]]
            if len(sent) >= CREDIT_SLOTS:
                granted.append(sent[-CREDIT_SLOTS])
            reverse = self.plan.flows[flow].reverse
            waits.append(
                self.plan.add(Task(reverse, CREDIT_BYTES, role=t.ROLE_CREDIT, after=granted))
            )
        if self.spec.split_immediate and size_bytes > 8192:
            self.plan.add(Task(flow, size_bytes, span=self._span, rank=source, after=waits))
            size_bytes = 0
        task = Task(flow, size_bytes, immediate=True, span=self._span, rank=source, after=waits)
        number = self.plan.add(task)
        sent.append(number)
        self._posted[source].append(number)
        return number

    def _chunk(
        self, source: int, destination: int, channel: int, size_bytes: int, after: list[list[int]]
    ) -> list[list[int]]:
        """Send a chunk in slices; slice k waits for `after[k]`. Return what each slice ends."""
        done = []
        for number, size in enumerate(slices_of(size_bytes, self.spec.slice_bytes)):
            waits = after[min(number, len(after) - 1)]
            done.append([self._message(source, destination, channel, size, waits)])
        return done

    def _timer(self, rank: int) -> list[list[int]]:
        return [[self._timers[rank]]]

    def _keep(self, rank: int, chunk: list[list[int]]) -> None:
        """Note that the rank's iteration is not over before this chunk has arrived."""
        self._received[rank] += [task for slice_ in chunk for task in slice_]

    def _ring(self, steps: int) -> None:
        """Every rank passes a chunk on to its successor `steps` times."""
        count = len(self.ranks)
        for channel, part in enumerate(split(self._size_bytes, self.spec.channels)):
            chunks = split(part, count)
            arrived = [self._timer(rank) for rank in range(count)]
            for step in range(steps):
                following: list[list[list[int]]] = [[] for _ in range(count)]
                for rank in range(count):
                    successor = (rank + 1) % count
                    # Without credits a chunk may come to a rank that is still computing.
                    ready = [[*waits, self._timers[rank]] for waits in arrived[rank]]
                    following[successor] = self._chunk(
                        rank, successor, channel, chunks[(rank - step) % count], ready
                    )
                arrived = following
            for rank in range(count):
                self._keep(rank, arrived[rank])

    def _allreduce(self) -> None:
        if self.spec.algorithm == "ring":
            self._ring(2 * (len(self.ranks) - 1))
        elif self.spec.algorithm == "tree":
            self._tree(reduce=True)
        else:
            self._halving_doubling()

    def _broadcast(self) -> None:
        if self.spec.algorithm == "tree":
            self._tree(reduce=False)
            return
        for channel, part in enumerate(split(self._size_bytes, self.spec.channels)):
            arrived = self._timer(0)
            for rank in range(len(self.ranks) - 1):
                ready = [[*waits, self._timers[rank]] for waits in arrived]
                arrived = self._chunk(rank, rank + 1, channel, part, ready)
                self._keep(rank + 1, arrived)

    def _tree(self, reduce: bool) -> None:
        """Reduce up a binary tree and broadcast down it; odd channels mirror the tree."""
        count = len(self.ranks)
        for channel, part in enumerate(split(self._size_bytes, self.spec.channels)):
            order = list(range(count))
            if channel % 2 == 1 and reduce:
                order.reverse()
            parents = {order[child]: order[parent] for child, parent in tree_parents(count).items()}
            children: dict[int, list[int]] = {rank: [] for rank in range(count)}
            for child, parent in parents.items():
                children[parent].append(child)
            root = order[0]
            summed = self._timer(root)
            if reduce:
                summed = self._reduce_up(root, channel, part, children)
                self._keep(root, summed)
            self._send_down(root, channel, part, children, summed)

    def _reduce_up(
        self, rank: int, channel: int, size_bytes: int, children: dict[int, list[int]]
    ) -> list[list[int]]:
        """Return, slice by slice, what must end before `rank` holds its subtree's sum."""
        slices = len(slices_of(size_bytes, self.spec.slice_bytes))
        ready = [[self._timers[rank]] for _ in range(slices)]
        for child in children[rank]:
            below = self._reduce_up(child, channel, size_bytes, children)
            arrived = self._chunk(child, rank, channel, size_bytes, below)
            for number, waits in enumerate(arrived):
                ready[number] += waits
        return ready

    def _send_down(
        self,
        rank: int,
        channel: int,
        size_bytes: int,
        children: dict[int, list[int]],
        ready: list[list[int]],
    ) -> None:
        """Pass what `rank` holds on to its subtree."""
        for child in children[rank]:
            arrived = self._chunk(rank, child, channel, size_bytes, ready)
            self._keep(child, arrived)
            onward = [[*waits, self._timers[child]] for waits in arrived]
            self._send_down(child, channel, size_bytes, children, onward)

    def _halving_doubling(self) -> None:
        """Exchange halves, quarters, ... with ever nearer partners, then the way back."""
        count = len(self.ranks)
        for channel, part in enumerate(split(self._size_bytes, self.spec.channels)):
            distances = []
            distance = count // 2
            while distance:
                distances.append(distance)
                distance //= 2
            rounds = [(d, max(1, part * d // count)) for d in distances]
            rounds += list(reversed(rounds))
            arrived = [self._timer(rank) for rank in range(count)]
            for distance, size in rounds:
                following = []
                for rank in range(count):
                    # A rank sums or forwards all it has: every slice waits for its own computing
                    # and for all that came in the rounds before.
                    whole = [[task for waits in arrived[rank ^ distance] for task in waits]]
                    following.append(self._chunk(rank ^ distance, rank, channel, size, whole))
                arrived = [had + new for had, new in zip(arrived, following, strict=True)]
            for rank in range(count):
                self._keep(rank, arrived[rank])

    def _alltoall(self) -> None:
        count = len(self.ranks)
        shares = split(self._size_bytes, count)
        for channel in range(self.spec.channels):
            for distance in range(1, count):
                for rank in range(count):
                    peer = (rank + distance) % count
                    size = split(shares[peer], self.spec.channels)[channel]
                    self._keep(peer, self._chunk(rank, peer, channel, size, self._timer(rank)))

    def _pipeline(self) -> None:
        """Every stage sends each micro-batch to the next one when it has it."""
        for _ in range(self.spec.micro_batches):
            for channel, part in enumerate(split(self._size_bytes, self.spec.channels)):
                arrived = self._timer(0)
                for rank in range(len(self.ranks) - 1):
                    ready = [[*waits, self._timers[rank]] for waits in arrived]
                    arrived = self._chunk(rank, rank + 1, channel, part, ready)
                    self._keep(rank + 1, arrived)


def tree_parents(count: int) -> dict[int, int]:
    """Return the parent of each rank: rank 0 is the root of a balanced tree of the others."""
    parents: dict[int, int] = {}
    ranges = [(1, count - 1, 0)]
    while ranges:
        low, high, parent = ranges.pop()
        if low > high:
            continue
        middle = (low + high + 1) // 2
        parents[middle] = parent
        ranges += [(low, middle - 1, middle), (middle + 1, high, middle)]
    return parents
