"""Ordered stages for batches that several threads carry: each stage takes them one at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition
from typing import Final

MAX_THREADS: Final = 4
"""Most batches under way at once: a reader keeps the bytes of this many (and flows their slots)."""


class Turns:
    """Lets numbered batches through a stage singly and in the order of their numbers."""

    def __init__(self) -> None:
        """Start with batch 0."""
        self._next = 0
        self._broken = False
        self._condition = Condition()

    @contextmanager
    def turn(self, number: int) -> Iterator[bool]:
        """Wait for batch `number`'s turn; yields False when another thread has failed."""
        with self._condition:
            while self._next != number and not self._broken:
                self._condition.wait()
            going = not self._broken
        try:
            yield going
        finally:
            with self._condition:
                self._next = number + 1
                self._condition.notify_all()

    def break_off(self) -> None:
        """Let everyone who waits here go: a thread has failed."""
        with self._condition:
            self._broken = True
            self._condition.notify_all()
