"""One answer for everybody who asks the same: queries and figures shared by all browsers.

A function runs once for the same arguments while its answer is fresh, also when twenty ask at once;
an error is an answer too, so that a database that is away is not asked again by each of them.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, Final, ParamSpec, TypeVar, cast

__all__ = ["Reader"]

_P = ParamSpec("_P")
_T = TypeVar("_T")
FRESH_S: Final = 1.0
"""How long an answer is given to others who ask the same."""
CAPACITY: Final = 128
"""Answers kept while fresh; the longest unused go first."""


class Reader:
    """Answers kept by function and arguments, which must be hashable. Safe between threads."""

    def __init__(self, fresh_s: float = FRESH_S, capacity: int = CAPACITY) -> None:
        """Keep at most `capacity` answers, each for `fresh_s` seconds."""
        self._fresh_s = fresh_s
        self._capacity = capacity
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, tuple[float, float, Future[Any]]] = OrderedDict()

    def read(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Return `function(*args, **kwargs)`, or what it gave another moments ago.

        The answer is shared: do not change it. Raises what the function raises.
        """
        return self.keep(self._fresh_s, function, *args, **kwargs)

    def keep(
        self, fresh_s: float, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """Return what `read` does, but give the same answer for `fresh_s` seconds."""
        key = (function, args, tuple(sorted(kwargs.items())))
        with self._lock:
            now = time.monotonic()
            known = self._answers.get(key)
            if known is not None and (not known[2].done() or now - known[0] < fresh_s):
                self._answers.move_to_end(key)
                answer, mine = known[2], False
            else:
                answer, mine = Future[Any](), True
                self._answers[key] = (now, fresh_s, answer)
                self._answers.move_to_end(key)
                self._forget(now)
        if mine:
            try:
                answer.set_result(function(*args, **kwargs))
            except BaseException as error:
                answer.set_exception(error)
        return cast(_T, answer.result())

    def _forget(self, now: float) -> None:
        """Let go of what nobody is given any more, and of what is too many."""
        stale = [
            key
            for key, (asked, fresh_s, answer) in self._answers.items()
            if answer.done() and now - asked >= fresh_s
        ]
        for key in stale:
            del self._answers[key]
        while len(self._answers) > self._capacity:
            self._answers.popitem(last=False)
