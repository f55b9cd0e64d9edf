"""The files in which Linux keeps a port's counters; nothing is compared here."""

import contextlib
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fabricscope.collectors.counters.ethtool import DriverStatistics
from fabricscope.collectors.counters.meanings import INFINIBAND, INTERFACE, Meanings, of_driver

__all__ = ["Reading", "names_of", "read_infiniband", "read_interface"]

_NETWORK: Final = "class/net"
_RDMA: Final = "class/infiniband"
_IS_UP: Final = 1  # IFF_UP
_ACTIVE: Final = "4:"  # ACTIVE, of a port's state


@dataclass
class Reading:
    """A port's counters at one time. downs: how often its link went down, if it is known.

    changes: how often its link went up or down, None where `downs` is known.
    """

    time_ns: int
    rate_gbps: float | None
    is_up: bool
    values: dict[str, int]
    meanings: Meanings
    downs: int = 0
    changes: int | None = None
    driver: tuple[str, ...] = field(default=())


def names_of(root: Path) -> list[str]:
    """Return the interfaces that are switched on, without the loopback, and the RDMA ports."""
    result = []
    for folder in sorted(_folders(root / _NETWORK)):
        flags = _text(folder / "flags") or "0"
        if folder.name != "lo" and int(flags, 16) & _IS_UP:
            result.append(folder.name)
    for device in sorted(_folders(root / _RDMA)):
        ports = sorted(_folders(device / "ports"))
        result += [f"{device.name}/{port.name}" for port in ports]
    return result


def _folders(path: Path) -> list[Path]:
    try:
        return [entry for entry in path.iterdir() if entry.is_dir()]
    except OSError:
        return []


def _text(path: Path) -> str | None:
    try:
        return path.read_text("ascii", "replace").strip()
    except OSError:
        return None


def _integers(folder: Path) -> dict[str, int]:
    """Return the files of a folder that hold an integer."""
    result = {}
    with contextlib.suppress(OSError):
        for entry in folder.iterdir():
            text = _text(entry)
            if text is not None and re.fullmatch(r"\d{1,20}", text):
                result[entry.name] = int(text)
    return result


def read_interface(
    root: Path, name: str, statistics: DriverStatistics | None, known: Reading | None
) -> Reading | None:
    """Return an interface's counters, None if there is no such interface.

    known: its last reading, whose meanings serve again while the driver's names stay the same.
    """
    folder = root / _NETWORK / name
    values = _integers(folder / "statistics")
    if not values:
        return None
    time_ns = time.monotonic_ns()
    driver = statistics.read(name) if statistics is not None else {}
    names = tuple(driver)
    if known is not None and known.driver == names:
        meanings = known.meanings
    else:
        meanings = dict(INTERFACE)
        for key, counters in of_driver(names).items():
            own = [(f"driver {counter}", worth) for counter, worth in counters]
            meanings[key] = [*meanings.get(key, []), *own]
    values.update({f"driver {counter}": value for counter, value in driver.items()})
    speed = _text(folder / "speed") or ""
    downs, changes = _text(folder / "carrier_down_count"), _text(folder / "carrier_changes")
    return Reading(
        time_ns,
        int(speed) / 1_000 if re.fullmatch(r"[1-9]\d*", speed) else None,
        _text(folder / "carrier") == "1",
        values,
        meanings,
        int(downs) if downs else 0,
        None if downs else int(changes or 0),
        names,
    )


def read_infiniband(root: Path, name: str, known: Reading | None) -> Reading | None:
    """Return the counters of an RDMA port, named as mlx5_0/1; None if there is no such port."""
    device, _, port = name.partition("/")
    folder = root / _RDMA / device / "ports" / port
    values = _integers(folder / "counters")
    if not values:
        return None
    time_ns = time.monotonic_ns()
    values |= _integers(folder / "hw_counters")
    rate = re.match(r"(\d+(?:\.\d+)?) Gb/sec", _text(folder / "rate") or "")
    return Reading(
        time_ns,
        float(rate[1]) if rate else None,
        (_text(folder / "state") or "").startswith(_ACTIVE),
        values,
        INFINIBAND if known is None else known.meanings,
        values.get("link_downed", 0),
    )
