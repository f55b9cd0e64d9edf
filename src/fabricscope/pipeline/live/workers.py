"""Several processes that share the packets of mirror ports, and whose counts become one.

Each process reads rings of its own, counts by itself, and hands its counts on every second; what
they mean is judged here, of their sum. Packets are shared by their two addresses, so that a flow, a
queue pair and its acknowledgements, and copies of a packet at several taps are in one process.
"""

import contextlib
import multiprocessing
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Final

from fabricscope.collectors.mirror.ring import MirrorRing, start_together
from fabricscope.compiled import forget_outdated
from fabricscope.errors import FabricscopeError
from fabricscope.pipeline.live.counts import SecondCounts, add_up
from fabricscope.pipeline.live.feeds import RingFeed
from fabricscope.pipeline.live.monitor import Monitor, MonitorOptions
from fabricscope.pipeline.live.session import Telling
from fabricscope.pipeline.live.transfers import TransferView, join_views
from fabricscope.pipeline.live.warming import warm_up
from fabricscope.pipeline.live.watch import Watch

__all__ = ["Sender", "SharedSession", "Workers"]

_READY: Final = "ready"
_START: Final = "start"
_STOP: Final = "stop"
_NEVER_NS: Final = 1 << 62
WAIT_S: Final = 0.1
JOIN_S: Final = 10.0
MOST_WAITING: Final = 32
"""Seconds of counts that wait until they are sent to the parent; then packets wait too."""


class Workers:
    """Processes for open rings: for each one list, with a ring on each interface.

    give_up: what each calls, once it is ready, to be rid of the rights that it began with.
    """

    def __init__(
        self,
        rings: Sequence[Sequence[MirrorRing]],
        options: MonitorOptions,
        give_up: Callable[[], None],
    ) -> None:
        """Remember what to start."""
        self._rings = rings
        self._options = options
        self._give_up = give_up
        self._processes: list[BaseProcess] = []
        self._started = False
        self._stopped = False
        self.pipes: list[Connection] = []

    def __enter__(self) -> "Workers":
        """Start nothing yet."""
        return self

    def __exit__(self, *details: object) -> None:
        """End all processes."""
        for pipe in self.pipes:
            pipe.close()
        for process in self._processes:
            process.join(JOIN_S)
            if process.is_alive():
                process.kill()

    def prepare(self) -> None:
        """Start the processes, wait until all are ready, then let packets in."""
        context = multiprocessing.get_context("spawn")
        for number, rings in enumerate(self._rings):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_work,
                args=(rings, self._options, theirs, self._give_up, number == 0),
                name=f"fabricscope-{number}",
                daemon=True,
            )
            process.start()
            theirs.close()
            self._processes.append(process)
            self.pipes.append(ours)
        for number in range(len(self.pipes)):
            self.receive(number)
        start_together([ring for rings in self._rings for ring in rings])
        self._send(_START)
        self._started = True
        if self._stopped:
            self._send(_STOP)

    def receive(self, number: int) -> Any:
        """Return the next message of a process. Raises FabricscopeError when it is gone."""
        try:
            return self.pipes[number].recv()
        except (EOFError, OSError):
            process = self._processes[number]
            process.join(JOIN_S)
            raise FabricscopeError(
                f"process {number + 1} of {len(self.pipes)} that read the mirror ports ended "
                f"unexpectedly (status {process.exitcode}); start again, and look in the system's "
                "log whether memory ran out"
            ) from None

    def stop(self) -> None:
        """Ask all processes to end after what has come already; may come before they began."""
        self._stopped = True
        if self._started:
            self._send(_STOP)

    def _send(self, message: str) -> None:
        for pipe in self.pipes:
            with contextlib.suppress(OSError):
                pipe.send(message)


class SharedSession(Telling):
    """Adds up what the processes count, tells it second by second."""

    def __init__(self, options: MonitorOptions, workers: Workers) -> None:
        """Prepare to gather."""
        super().__init__(options, aside=True)
        self._workers = workers
        self._waiting: dict[int, dict[int, SecondCounts]] = {}
        self._reached_ns: list[int] = []
        self._final_views: dict[int, TransferView] = {}

    def prepare(self) -> None:
        """Start the processes and let packets in."""
        self._workers.prepare()
        self._reached_ns = [0] * len(self._workers.pipes)

    def stop(self) -> None:
        """End the run after what has come already; may be called from a signal handler."""
        self._workers.stop()

    def run(self) -> None:
        """Gather until every process has ended. Raises FabricscopeError if one ends by itself."""
        pipes = self._workers.pipes
        while min(self._reached_ns) < _NEVER_NS:
            ready = wait([p for p, ns in zip(pipes, self._reached_ns, strict=True)
                          if ns < _NEVER_NS], WAIT_S)  # fmt: skip
            self.poll()
            for number, pipe in enumerate(pipes):
                if pipe in ready:
                    self._take(number, self._workers.receive(number))
            self._tell_complete()
        self._tell_complete()

    def _take(self, number: int, counts: SecondCounts | None) -> None:
        if counts is None:
            self._reached_ns[number] = _NEVER_NS
            return
        self._reached_ns[number] = counts.end_ns
        self._waiting.setdefault(counts.start_ns, {})[number] = counts
        if counts.transfers is not None and counts.transfers.last:
            self._final_views[number] = counts.transfers

    def _tell_complete(self) -> None:
        """Tell the seconds that no process will add to, in order of time.

        What all processes have gone back behind, when the clock was set back, will get nothing more
        either; until all have, each one's seconds are told by themselves. Jobs are looked for in
        the newest of several seconds alone.
        """
        before_ns, after_ns = min(self._reached_ns), max(self._reached_ns)
        complete = [ns for ns in sorted(self._waiting) if ns < before_ns or ns >= after_ns]
        for start_ns in complete:
            parts = self._waiting.pop(start_ns)
            total = add_up([replace(part, transfers=None) for part in parts.values()])
            views = self._views(parts) if start_ns == complete[-1] else None
            self.tell(replace(total, transfers=views))

    def _views(self, parts: dict[int, SecondCounts]) -> TransferView | None:
        """Return the transfers of all processes, None if one of them has not told its own."""
        views = dict(self._final_views)
        views |= {k: part.transfers for k, part in parts.items() if part.transfers is not None}
        if len(views) < len(self._reached_ns):
            return None
        last = all(view.last for view in views.values())
        return join_views(list(views.values())) if last or self.judge.wants_view() else None


def _work(
    rings: Sequence[MirrorRing],
    options: MonitorOptions,
    pipe: Connection,
    give_up: Callable[[], None],
    first: bool,
) -> None:
    """Run in a process of its own: count what its rings bring, until told to stop."""
    # A terminal and a service manager signal every process; when to end is the parent's word.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    forget_outdated()
    warm_up(len(rings))
    give_up()
    try:
        pipe.send(_READY)
        if pipe.recv() != _START:
            return
    except (EOFError, OSError):
        return
    for ring in rings:
        ring.tells = first
    monitor = Monitor(options)
    sender = Sender(pipe)
    monitor.wants_view = sender.idle
    watch = Watch(RingFeed(rings, first=first), monitor, sender.put, idle=True)
    threading.Thread(target=_listen, args=(pipe, watch), daemon=True).start()
    watch.run()
    sender.close()


class Sender:
    """Sends counts to the parent, as long as there is one, beside the packets."""

    def __init__(self, pipe: Connection) -> None:
        """Start the thread."""
        self._pipe = pipe
        self._waiting: queue.Queue[SecondCounts | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def put(self, counts: SecondCounts | None) -> None:
        """Hand on a second's counts, None at the end."""
        self._waiting.put(counts)

    def idle(self) -> bool:
        """Tell whether everything was sent: a parent that lags behind gets no views."""
        return self._waiting.unfinished_tasks == 0

    def close(self) -> None:
        """Tell the parent that nothing follows, and wait until it has everything."""
        self.put(None)
        self._thread.join()

    def _send(self) -> None:
        more = True
        while more:
            counts = self._waiting.get()
            more = counts is not None
            with contextlib.suppress(OSError):
                self._pipe.send(counts)
            self._waiting.task_done()


def _listen(pipe: Connection, watch: Watch) -> None:
    """Stop on the parent's word, and when it is gone."""
    with contextlib.suppress(EOFError, OSError):
        pipe.recv()
    watch.stop()
