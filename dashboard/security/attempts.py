"""How often a login may fail: after a few, an address or a name has to wait, and costs no hash."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

__all__ = ["Attempts"]

ADDRESS_TRIES: Final = 5
NAME_TRIES: Final = 20
"""More than of an address, so that somebody else's failures do not lock a user out at once."""
WINDOW_S: Final = 60.0
CAPACITY: Final = 10_000
"""Addresses and names remembered; those that were quiet longest are forgotten first."""


class Attempts:
    """Failures of the last minute by address and by name. Safe between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without failures."""
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()
        self.refused = 0

    def wait_s(self, address: str, name: str) -> float:
        """Return for how long this address or name must not try, 0 when it may.

        A try that may go on counts as failed until `succeed` takes it back, so that many at once
        are no way round.
        """
        with self._lock:
            now = self._clock()
            wait = max(
                self._wait(("address", address), ADDRESS_TRIES, now),
                self._wait(("name", name), NAME_TRIES, now),
            )
            if wait > 0:
                self.refused += 1
                return wait
            for key in (("address", address), ("name", name)):
                self._failures.setdefault(key, deque()).append(now)
                self._failures.move_to_end(key)
            while len(self._failures) > CAPACITY:
                self._failures.popitem(last=False)
            return 0.0

    def succeed(self, address: str, name: str) -> None:
        """Forget the failures of an address and a name that have just logged in."""
        with self._lock:
            self._failures.pop(("address", address), None)
            self._failures.pop(("name", name), None)

    def _wait(self, key: tuple[str, str], tries: int, now: float) -> float:
        times = self._failures.get(key)
        if times is None:
            return 0.0
        while times and now - times[0] >= WINDOW_S:
            times.popleft()
        return times[-tries] + WINDOW_S - now if len(times) >= tries else 0.0
