"""Changes of alerts on their way to their destinations, without ever holding up the capture.

Each destination has a thread and a bounded queue of its own, so that one that is away holds up no
other. What it does not take is tried again for a bounded time; what is given up is counted.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from fabricscope.analyzers.policy.destinations import Destination
from fabricscope.analyzers.policy.states import Change
from fabricscope.pipeline.sending import MAX_PER_REQUEST, RESEND_S, Message, Sent, send

__all__ = ["Counts", "Outbox", "message_of"]

MAX_WAITING: Final = 10_000
"""Changes that wait for one destination; the oldest beyond it are dropped and counted."""

GIVE_UP_S: Final = 600.0
"""How long a change is tried."""

FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 30.0
STOP_S: Final = 3.0
_LOG = logging.getLogger(__name__)


def message_of(change: Change, collector: str) -> Message:
    """Return a change as what is sent: the keys of a row of `alerts`, and the rule's values."""
    record: dict[str, Any] = {
        "rule": change.rule,
        "severity": change.severity,
        "state": change.state,
        "table": change.table,
        "subject": change.subject,
        "text": change.text,
        "action": change.action,
        "time_ns": change.time_ns,
        "since_ns": change.since_ns,
        "collector": collector,
        "value": change.value,
        "values": {name: value for name, value in change.values.items() if _is_plain(value)},
    }
    return Message(change.severity, record)


def _is_plain(value: Any) -> bool:
    """Return whether JSON can have a value: it has no numbers that are not finite."""
    return not isinstance(value, float) or math.isfinite(value)


@dataclass
class Counts:
    """What became of the changes of a destination; problem: why it takes none now."""

    delivered: int = 0
    dropped: int = 0
    waiting: int = 0
    problem: str = ""


@dataclass
class Outbox:
    """Threads that send; `put` never waits.

    before: called before anything is sent, for example to flush a store: what is said out there
    should be known in here after a crash. firing: what fires now, for receivers that forget what
    they are not told again.
    """

    destinations: Sequence[Destination]
    collector: str
    before: Callable[[], object] | None = None
    firing: Callable[[], Sequence[Change]] | None = None
    give_up_s: float = GIVE_UP_S
    counts: dict[str, Counts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Prepare; `start` begins to send."""
        self._lines = [_Line(self, destination) for destination in self.destinations]
        self.counts = {line.destination.name: line.counts for line in self._lines}

    def start(self) -> None:
        """Begin to send."""
        for line in self._lines:
            line.thread.start()

    def put(self, changes: Sequence[Change]) -> None:
        """Take changes in, for the destinations that their rules name."""
        for line in self._lines:
            chosen = [c for c in changes if c.send and line.destination.name in c.destinations]
            if chosen:
                line.put([message_of(change, self.collector) for change in chosen])

    def stop(self, timeout_s: float = STOP_S) -> None:
        """Send what waits if it is taken at once; what is not is dropped and counted."""
        end = time.monotonic() + timeout_s
        for line in self._lines:
            line.stop()
        for line in self._lines:
            if line.thread.is_alive():
                line.thread.join(max(end - time.monotonic(), 0.05))
            line.abandon()


class _Line:
    """The queue and thread of one destination."""

    def __init__(self, outbox: Outbox, destination: Destination) -> None:
        self.destination = destination
        self.counts = Counts()
        self.thread = threading.Thread(
            target=self._run, name=f"alerts-{destination.name}", daemon=True
        )
        self._outbox = outbox
        self._waiting: deque[tuple[float, Message]] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._told_s = time.monotonic()

    def put(self, messages: Sequence[Message]) -> None:
        now_s = time.monotonic()
        with self._changed:
            self._waiting.extend((now_s, message) for message in messages)
            while len(self._waiting) > MAX_WAITING:
                self._waiting.popleft()
                self.counts.dropped += 1
            self.counts.waiting = len(self._waiting)
            self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def abandon(self) -> None:
        """Count what still waits as dropped."""
        with self._changed:
            self.counts.dropped += len(self._waiting)
            self._waiting.clear()
            self.counts.waiting = 0

    def _run(self) -> None:
        wait_s = 0.0
        while True:
            with self._changed:
                if wait_s:
                    self._changed.wait_for(lambda: self._stopped, wait_s)
                else:
                    self._changed.wait_for(lambda: self._stopped or self._waiting, RESEND_S)
                if self._stopped and (wait_s or not self._waiting):
                    return
                part = [message for _, message in self._waiting][:MAX_PER_REQUEST]
            if not part:
                part = self._reminder()
                if part:
                    self._note(self._send(part).reason)
                continue
            self._prepare()
            sent = self._send(part)
            self._note(sent.reason)
            self._settle(sent.count, len(part), sent.final)
            wait_s = min(max(2 * wait_s, FIRST_WAIT_S), LONGEST_WAIT_S) if sent.reason else 0.0

    def _prepare(self) -> None:
        if self._outbox.before is not None:
            try:
                self._outbox.before()
            except Exception:  # what is the matter in here must be told all the same
                _LOG.exception("before alerts are sent to %s", self.destination.name)

    def _send(self, part: Sequence[Message]) -> Sent:
        try:
            return send(self.destination, part)
        except Exception as error:  # a thread that ends would do so unheard
            reason = f"{type(error).__name__}: {error}"
            if reason != self.counts.problem:
                _LOG.exception("alerts to %s", self.destination.name)
            return Sent(0, reason)

    def _reminder(self) -> list[Message]:
        """Return what a receiver that forgets must be told again."""
        if self.destination.type != "alertmanager" or self._outbox.firing is None:
            return []
        known = [c for c in self._outbox.firing() if self.destination.name in c.destinations]
        return [
            message_of(change, self._outbox.collector)
            for change in known
            if change.state == "firing"
        ][:MAX_PER_REQUEST]

    def _note(self, problem: str) -> None:
        self.counts.problem = problem

    def _settle(self, taken: int, tried: int, final: bool) -> None:
        """Remove what was sent, refused for good, or tried for too long."""
        oldest_s = time.monotonic() - self._outbox.give_up_s
        with self._changed:
            gone = min(tried if final else taken, len(self._waiting))
            for _ in range(gone):
                self._waiting.popleft()
            self.counts.delivered += min(taken, gone)
            self.counts.dropped += gone - min(taken, gone)
            while not final and self._waiting and self._waiting[0][0] < oldest_s:
                self._waiting.popleft()
                self.counts.dropped += 1
            self.counts.waiting = len(self._waiting)
