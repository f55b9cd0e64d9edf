"""Long work of pages: begun once for all who ask the same, followed, called off, and kept.

Each task has a thread that waits for a process of its own (`beside`), so that the site answers
meanwhile. A task knows neither what it works on nor who shows it.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from fabricscope.beside import Cancelled, run_beside
from fabricscope.dashboard.plain_text import neutralise
from fabricscope.errors import ConfigError, FabricscopeError

__all__ = ["Task", "Tasks"]

RUNNING_LIMIT: Final = 2
WAITING_LIMIT: Final = 8
KEPT: Final = 24
"""Results that are kept; the longest unused go first."""
LIMIT_S: Final = 900.0
_UNEXPECTED: Final = "The work met an error of its own; the server's log has it."

Work = Callable[[Callable[[int, int | None], None], Callable[[], bool]], Any]


@dataclass
class Task:
    """state: waiting, running, done, failed or cancelled; problem: why it failed, one sentence."""

    state: str = "waiting"
    done: int = 0
    total: int | None = None
    began_s: float = field(default_factory=time.monotonic)
    took_s: float = 0.0
    result: Any = None
    problem: str = ""
    stop: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def going(self) -> bool:
        """Return whether it has not ended yet."""
        return not self.ended.is_set()

    @property
    def share(self) -> float | None:
        """Return how much is done, 0 to 1; None while that is not known."""
        return min(self.done / self.total, 1.0) if self.total else None

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended, at most so long; return whether it has."""
        return self.ended.wait(seconds)


class Tasks:
    """Tasks by their key. Safe between threads.

    What must not push out or hold up each other, such as reports and single packets, has Tasks of
    its own.
    """

    def __init__(
        self, running: int = RUNNING_LIMIT, kept: int = KEPT, limit_s: float = LIMIT_S
    ) -> None:
        """Run at most so many at a time, each for `limit_s`; keep so many results."""
        self._running = running
        self._kept = kept
        self._limit_s = limit_s
        self._slots = threading.Semaphore(running)
        self._lock = threading.Lock()
        self._tasks: OrderedDict[Hashable, Task] = OrderedDict()

    def find(self, key: Hashable) -> Task | None:
        """Return the task that has this key, None for none."""
        with self._lock:
            task = self._tasks.get(key)
            if task is not None:
                self._tasks.move_to_end(key)
            return task

    def begin(self, key: Hashable, work: Work) -> Task:
        """Return the task of `key`; begin it where there is none, or it was called off.

        work: called with a function to tell progress to, and one that says whether to stop.
        Raises ConfigError while too many wait.
        """
        with self._lock:
            known = self._tasks.get(key)
            if known is not None and known.state != "cancelled":
                self._tasks.move_to_end(key)
                return known
            if sum(task.going for task in self._tasks.values()) >= self._running + WAITING_LIMIT:
                raise ConfigError("The server has enough to do already; try again in a minute.")
            task = self._tasks[key] = Task()
            self._tasks.move_to_end(key)
            self._forget()
        threading.Thread(target=self._run, args=(task, work), daemon=True).start()
        return task

    def begin_beside(
        self, key: Hashable, work: Callable[..., Any], arguments: Sequence[object], way_out: str
    ) -> Task:
        """Return the task of `key` that calls `work` in a process of its own."""

        def follow(
            progress: Callable[[int, int | None], None], cancelled: Callable[[], bool]
        ) -> Any:
            return run_beside(
                work, arguments, progress, cancelled, limit_s=self._limit_s, way_out=way_out
            )

        return self.begin(key, follow)

    def cancel(self, key: Hashable) -> None:
        """Call the task of `key` off, if there is one under way."""
        task = self.find(key)
        if task is not None:
            task.stop.set()

    def forget(self, key: Hashable) -> None:
        """Forget a task that has ended, so that it can begin anew."""
        with self._lock:
            task = self._tasks.get(key)
            if task is not None and not task.going:
                del self._tasks[key]

    def _forget(self) -> None:
        ended = [key for key, task in self._tasks.items() if not task.going]
        for key in ended[: max(0, len(self._tasks) - self._kept)]:
            del self._tasks[key]

    def _run(self, task: Task, work: Work) -> None:
        def tell(done: int, total: int | None) -> None:
            task.done, task.total = done, total

        with self._slots:
            try:
                if task.stop.is_set():
                    raise Cancelled
                task.state, task.began_s = "running", time.monotonic()
                task.result = work(tell, task.stop.is_set)
                task.state = "done"
            except Cancelled:
                task.state = "cancelled"
            except FabricscopeError as error:
                task.state, task.problem = "failed", neutralise(error, 2_000)
            except BaseException:
                task.state, task.problem = "failed", _UNEXPECTED
                raise
            finally:
                task.took_s = time.monotonic() - task.began_s
                task.ended.set()
