"""A fabric while a file of it is read: named devices and cables, what is missing filled in.

Formats differ in what they say. Whatever they leave out (kinds, tiers, rates, lengths, which two
lines are one cable) is worked out here, the same way for all, and said in a note.
"""

import collections
import re
from collections.abc import Mapping
from typing import Final, NamedTuple, NoReturn

from fabricscope.errors import FabricError
from fabricscope.topology.builders.wiring import COPPER_REACH_M
from fabricscope.topology.fabric import ENDPOINT_KINDS, NVLINK_SWITCH, Device, Fabric, Link
from fabricscope.topology.limits import check_size

__all__ = ["SWITCH", "Cable", "Draft", "Imported"]

SWITCH: Final = "switch"
"""Kind of a switch whose tier the file does not say."""

NAME_LIMIT: Final = 200
_KIND_OF_TIER: Final = {1: "leaf", 2: "spine", 3: "core"}
_TIER_OF_KIND: Final = {"host": 0, "gpu": 0, NVLINK_SWITCH: 0, "leaf": 1, "spine": 2, "core": 3}
_LENGTH_M: Final = {0: 3.0, 1: 30.0, 2: 100.0, 3: 100.0}
_FORWARDING_NS: Final = 500.0
_KIND_OF_NAME: Final = (
    (re.compile(r"(?i)nvswitch|nvlink"), NVLINK_SWITCH),
    (re.compile(r"(?i)super-?spine|core|(^|[^a-z])ss\d"), "core"),
    (re.compile(r"(?i)spine|agg(r|\d|$|-)"), "spine"),
    (re.compile(r"(?i)leaf|(^|[^a-z])tor|edge"), "leaf"),
    (re.compile(r"(?i)(^|[^a-z])gpu"), "gpu"),
    (re.compile(r"(?i)host|server|node|client|dgx|(^|[^a-z])h\d"), "host"),
)


class Imported(NamedTuple):
    """A fabric from a file, and sentences: what was assumed or dropped, where ends contradict."""

    fabric: Fabric
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


class Cable(NamedTuple):
    """One cable between two named devices; a negative rate, length or optics is not known."""

    a: str
    b: str
    a_port: str = ""
    b_port: str = ""
    rate_gbps: float = -1.0
    length_m: float = -1.0
    optics: int = -1


class Draft:
    """Collects devices and cables; `finish` makes the fabric. Errors begin with the file's name."""

    def __init__(self, source: str, rate_gbps: float = 400.0) -> None:
        """Start empty; rate_gbps is taken where the file states none."""
        self.source = source
        self._rate_gbps = rate_gbps
        self._devices: dict[str, str] = {}
        self._fields: dict[str, Mapping[str, float]] = {}
        self._cables: list[Cable] = []
        self._notes: collections.Counter[str] = collections.Counter()
        self._faults: collections.Counter[str] = collections.Counter()

    def fail(self, where: str, what: str) -> NoReturn:
        """Raise FabricError: `where` is a line or a key of the file."""
        raise FabricError(f"{self.source}: {where}: {what}")

    def note(self, text: str, count: int = 1) -> None:
        """Count something to be said once, with the number of times it happened in place of {}."""
        self._notes[text] += count

    def fault(self, text: str, count: int = 1) -> None:
        """Count something that the two ends of a cable do not say alike, as `note` does."""
        self._faults[text] += count

    def check_name(self, value: object, where: str) -> str:
        """Return `value` if it can be a name; raise FabricError otherwise."""
        if isinstance(value, bool) or not isinstance(value, str | int):
            self.fail(where, "a name is missing; give each device one")
        name = str(value).strip()
        if not 0 < len(name) <= NAME_LIMIT or not name.isprintable():
            self.fail(where, f"{name[:40]!r} is no name of 1 to {NAME_LIMIT} printable characters")
        return name

    def check_number(self, value: object, where: str, low: float, high: float) -> float:
        """Return `value` as a number between low and high; raise FabricError otherwise."""
        if isinstance(value, str):
            text = value
            try:
                value = float(text)
            except ValueError:
                self.fail(where, f"{text[:40]!r} is no number")
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fail(where, "a number is missing")
        if not low <= value <= high:
            self.fail(where, f"{value:g} is not between {low:g} and {high:g}")
        return float(value)

    def knows(self, name: str) -> bool:
        """Return whether a device of this name was added."""
        return name in self._devices

    def add_device(
        self, name: str, where: str, kind: str = "", fields: Mapping[str, float] | None = None
    ) -> None:
        """Add a device; kind "" is worked out; fields: any of Device's numbers by name.

        Raises FabricError for a name that was added before, and for too many devices.
        """
        if name in self._devices:
            self.fail(where, f"device {name} was given before; name each once")
        self._devices[name] = kind
        self._fields[name] = fields or {}
        check_size(self.source, len(self._devices), 0)

    def add_cable(self, cable: Cable, where: str) -> None:
        """Add a cable between devices that were added. Raises FabricError for any other."""
        for name in (cable.a, cable.b):
            if name not in self._devices:
                self.fail(where, f"no device is called {name[:80]}; list it as one")
        if cable.a == cable.b:
            self.fail(where, f"{cable.a} is cabled to itself; remove this cable")
        self._cables.append(cable)
        check_size(self.source, 0, len(self._cables))

    def finish(self, name: str, plan: str = "") -> Imported:
        """Return the fabric. Raises FabricError when there is no device at all."""
        if not self._devices:
            raise FabricError(f"{self.source}: no device found; is this a file of a fabric?")
        kinds = self._find_kinds()
        devices = tuple(self._make_device(one, kinds[one]) for one in self._devices)
        numbers = {one: number for number, one in enumerate(self._devices)}
        links = tuple(
            self._make_link(cable, numbers, devices[numbers[cable.a]], devices[numbers[cable.b]])
            for cable in self._cables
        )
        return Imported(Fabric(name, devices, links, plan), self.list_notes(), self.list_faults())

    def list_notes(self) -> tuple[str, ...]:
        """Return the notes in order of first use, each with its count."""
        return tuple(text.replace("{}", f"{count:,}") for text, count in self._notes.items())

    def list_faults(self) -> tuple[str, ...]:
        """Return the faults in order of first use, each with its count."""
        return tuple(text.replace("{}", f"{count:,}") for text, count in self._faults.items())

    def _make_device(self, name: str, kind: str) -> Device:
        given = self._fields[name]
        tier = _TIER_OF_KIND[kind]
        forwarding_ns = given.get("forwarding_ns")
        if forwarding_ns is None:
            forwarding_ns = _FORWARDING_NS if tier else 0.0
        places = {key: int(given.get(key, -1)) for key in ("pod", "plane", "rail", "server")}
        return Device(name, kind, tier, **places, forwarding_ns=forwarding_ns)

    def _make_link(self, cable: Cable, numbers: dict[str, int], a: Device, b: Device) -> Link:
        rate_gbps, length_m, optics = cable.rate_gbps, cable.length_m, cable.optics
        if rate_gbps < 0:
            rate_gbps = self._rate_gbps
            self.note(f"links without a stated rate, taken as {rate_gbps:g} Gb/s (--rate): {{}}")
        if length_m < 0:
            inside = NVLINK_SWITCH in (a.kind, b.kind)
            length_m = 0.0 if inside else _LENGTH_M[min(a.tier, b.tier)]
            self.note("links without a stated length, taken as 3, 30 or 100 m by tier: {}")
        if optics < 0:
            optics = 2 if length_m > COPPER_REACH_M else 0
        return Link(
            numbers[cable.a], numbers[cable.b], rate_gbps, length_m, cable.a_port, cable.b_port,
            optics,
        )  # fmt: skip

    def _find_kinds(self) -> dict[str, str]:
        """Return each device's kind: as given, by its name, or by how far it is from endpoints."""
        neighbours: dict[str, set[str]] = {name: set() for name in self._devices}
        for cable in self._cables:
            neighbours[cable.a].add(cable.b)
            neighbours[cable.b].add(cable.a)
        kinds: dict[str, str] = {}
        unknown: list[str] = []
        for name, kind in self._devices.items():
            found = kind if kind in _TIER_OF_KIND else _guess_kind(name, kind == SWITCH)
            if found:
                kinds[name] = found
            else:
                unknown.append(name)
        if not any(kind in ENDPOINT_KINDS for kind in kinds.values()):
            ends = [n for n in unknown if len(neighbours[n]) == 1 and not self._devices[n]]
            kinds.update(dict.fromkeys(ends, "host"))
        tiers = _find_tiers(kinds, neighbours)
        for name in unknown:
            if name not in kinds:
                kinds[name] = _KIND_OF_TIER[min(max(tiers.get(name, 1), 1), 3)]
                self.note("switches without a tier, taken from how far they are from hosts: {}")
        return kinds


def _guess_kind(name: str, is_switch: bool) -> str:
    for pattern, kind in _KIND_OF_NAME:
        if pattern.search(name) and not (is_switch and kind in ENDPOINT_KINDS):
            return kind
    return ""


def _find_tiers(kinds: Mapping[str, str], neighbours: Mapping[str, set[str]]) -> dict[str, int]:
    """Return the least number of hops from an endpoint to each device."""
    tiers = {name: 0 for name, kind in kinds.items() if kind in ENDPOINT_KINDS}
    queue = collections.deque(tiers)
    while queue:
        name = queue.popleft()
        for other in neighbours[name]:
            if other not in tiers:
                tiers[other] = tiers[name] + 1
                queue.append(other)
    return tiers
