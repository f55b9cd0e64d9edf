"""The fault table of DPFR's published mode: bounded, ageing, one entry a destination."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

__all__ = ["FaultTables", "Outcome"]

Outcome = Literal["new", "same", "second", "full"]


class _Entry(NamedTuple):
    channel: int
    until_ns: float


@dataclass
class FaultTables:
    """One table a device, each with at most `size` entries that live for `ageing_ns`.

    full, second: devices that had no room; (device, group) pairs whose other port failed as well.
    """

    size: int
    ageing_ns: float
    full: set[int] = field(default_factory=set)
    second: set[tuple[int, int]] = field(default_factory=set)
    _entries: dict[int, dict[int, _Entry]] = field(default_factory=dict)

    def enter(self, device: int, group: int, channel: int, time_ns: float) -> Outcome:
        """Write {group, channel} at `time_ns`, in order of time for each device.

        `same` where it is there already, `second` where the group avoids another channel, `full`
        where there is no room.
        """
        table = self._entries.setdefault(device, {})
        for old in [g for g, entry in table.items() if entry.until_ns <= time_ns]:
            del table[old]
        if group in table:
            if table[group].channel == channel:
                return "same"
            self.second.add((device, group))
            return "second"
        if len(table) >= self.size:
            self.full.add(device)
            return "full"
        table[group] = _Entry(channel, time_ns + self.ageing_ns)
        return "new"

    def free_ns(self, device: int, group: int) -> float:
        """Return when the group may be entered again, or some entry makes room for it."""
        table = self._entries.get(device, {})
        if group in table:
            return table[group].until_ns
        return min((entry.until_ns for entry in table.values()), default=0.0)
