"""Which files Delta tables hold now, of which only what is new is read each time."""

import threading
import time
from collections.abc import Callable
from typing import Final

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

__all__ = ["Listings"]

FOLLOWED_S: Final = 20.0
"""A table looked at again within this time is brought up to date instead of opened: the commits in
between are still there, as they are kept for a minute."""


class Listings:
    """The files of the tables of a store, for all threads of a process."""

    def __init__(self, open_table: Callable[[str], DeltaTable | None]) -> None:
        """Know no table; open_table: opens one by its place, None where there is none."""
        self._open = open_table
        self._lock = threading.Lock()
        self._followed: dict[str, tuple[DeltaTable, float]] = {}
        self._listed: dict[str, tuple[int, pl.DataFrame]] = {}

    def files(self, place: str) -> pl.DataFrame | None:
        """Return the files of a table with sizes and statistics, None where there is no table."""
        with self._lock:
            delta = self._newest(place)
            if delta is None:
                return None
            version = delta.version()
            if place not in self._listed or self._listed[place][0] != version:
                self._listed[place] = version, pl.DataFrame(delta.get_add_actions(flatten=True))
            return self._listed[place][1]

    def _newest(self, place: str) -> DeltaTable | None:
        now_s = time.monotonic()
        known, looked_s = self._followed.pop(place, (None, 0.0))
        delta = _updated(known) if known is not None and now_s - looked_s < FOLLOWED_S else None
        if delta is None:
            self._listed.pop(place, None)
            delta = self._open(place)
        if delta is not None:
            self._followed[place] = delta, now_s
        return delta


def _updated(delta: DeltaTable) -> DeltaTable | None:
    """Return a table at its newest version, None where that cannot be told from what is known."""
    try:
        delta.update_incremental()
    except (OSError, DeltaError):
        return None
    return delta
