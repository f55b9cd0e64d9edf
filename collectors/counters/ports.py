"""What this host's ports did since the last look, by their own counters."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from fabricscope.collectors.counters.ethtool import DriverStatistics
from fabricscope.collectors.counters.meanings import PAUSE_FRAMES
from fabricscope.collectors.counters.reading import (
    Reading,
    names_of,
    read_infiniband,
    read_interface,
)
from fabricscope.collectors.ports import PortInterval
from fabricscope.errors import ConfigError

__all__ = ["ALL", "PortCounters"]

ALL: Final = "all"
MAX_PORTS: Final = 1_024

_HALF: Final = 1 << 31
_WHOLE: Final = 1 << 32


class PortCounters:
    """Looks at the counters of `names`: interfaces, RDMA ports as mlx5_0/1, or `all`.

    root: where sysfs is. Ports that come later are seen too, where `all` was asked for.
    """

    def __init__(self, names: Sequence[str], *, root: Path = Path("/sys")) -> None:
        """Remember the names."""
        self._names = tuple(names)
        self._root = root
        self._before: dict[str, Reading] = {}
        self._statistics: DriverStatistics | None = None
        self.resets = 0
        """Looks that told nothing, as counters had been set back."""

    def __enter__(self) -> "PortCounters":
        """Open."""
        self.open()
        return self

    def __exit__(self, *details: object) -> None:
        """Close."""
        self.close()

    def open(self) -> None:
        """Take a first look. Raises ConfigError: there is no such port."""
        known = names_of(self._root)
        # Drivers are asked by name, which means this host's interfaces and no others.
        if self._root == Path("/sys"):
            self._statistics = DriverStatistics()
        for name in self._names:
            if name != ALL and self._read(name, None) is None:
                self.close()
                raise ConfigError(
                    f"--counters {name}: there is no such port; this host has "
                    + (", ".join(known) or "none that is switched on")
                )
        self.intervals()

    def close(self) -> None:
        """Close the socket through which drivers are asked."""
        if self._statistics is not None:
            self._statistics.close()
            self._statistics = None

    def _read(self, name: str, known: Reading | None) -> Reading | None:
        if "/" in name:
            return read_infiniband(self._root, name, known)
        return read_interface(self._root, name, self._statistics, known)

    def intervals(self) -> list[PortInterval]:
        """Return both directions of every port that was there at the last look too."""
        names = names_of(self._root) if ALL in self._names else []
        names += [name for name in self._names if name not in (ALL, *names)]
        readings: dict[str, Reading] = {}
        result: list[PortInterval] = []
        for name in names[:MAX_PORTS]:
            before = self._before.get(name)
            now = self._read(name, before)
            if now is None:
                continue
            readings[name] = now
            if before is not None and now.time_ns > before.time_ns:
                made = _compare(name, before, now)
                self.resets += not made
                result += made
        self._before = readings
        return result


def _steps(before: dict[str, int], now: dict[str, int], names: list[str]) -> dict[str, int] | None:
    """Return what each counter grew by, None if they were set back.

    A single one that fell from the upper to the lower half of 32 bits has wrapped: not all drivers
    keep 64. When several fall at once, the driver or the port was started again.
    """
    steps = {name: now[name] - before[name] for name in names if name in now and name in before}
    fallen = [name for name, step in steps.items() if step < 0]
    if not fallen:
        return steps
    (first, *others) = fallen
    if others or before[first] >= _WHOLE or -steps[first] <= _HALF:
        return None
    return steps | {first: steps[first] + _WHOLE}


def _compare(name: str, before: Reading, now: Reading) -> list[PortInterval]:
    """Return both directions, none if counters were set back in between."""
    names = [counter for counters in now.meanings.values() for counter, _ in counters]
    steps = _steps(before.values, now.values, names)
    if steps is None:
        return []
    grown: dict[tuple[str, str], int] = {}
    for key, counters in now.meanings.items():
        told = [steps[counter] * worth for counter, worth in counters if counter in steps]
        if told:
            grown[key] = max(told)
    length_ns = now.time_ns - before.time_ns
    flaps = _flaps(before, now)
    result = []
    for direction in ("up", "down"):
        fields: dict[str, Any] = {
            field: value for (way, field), value in grown.items() if way == direction
        }
        frames = fields.pop(PAUSE_FRAMES, 0)
        notes = [] if now.is_up else ["is down"]
        if frames and not fields.get("pause_ns"):
            notes.append(f"{'received' if direction == 'up' else 'sent'} {frames:,} pause frames")
        if "ecn_marked" in fields:
            # RDMA devices count marks, not what could have been marked.
            fields["ecn_capable"] = fields.get("packets", 0)
        fields["pause_ns"] = min(fields.get("pause_ns", 0), length_ns)
        result.append(
            PortInterval(
                name,
                direction,
                length_ns,
                now.rate_gbps,
                flaps=flaps,
                notes=tuple(notes),
                **fields,
            )
        )
    return result


def _flaps(before: Reading, now: Reading) -> int:
    """Return how often the link went down."""
    if now.changes is None or before.changes is None:
        return max(now.downs - before.downs, 0)
    changes = max(now.changes - before.changes, 0)
    return (changes + 1) // 2 if before.is_up else changes // 2
