"""A failover experiment as an address holds it, and the scenario that the simulator runs.

A fabric is a preset, a short form, the site's own, or a file that was brought in; never a path,
which an address must not make the server open.
"""

import functools
import hashlib
import re
import shutil
import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fabricscope.dashboard.view import View
from fabricscope.errors import FabricError
from fabricscope.topology.builders import PRESETS, build
from fabricscope.topology.builders.specification import KINDS
from fabricscope.topology.fabric import Fabric
from fabricscope.topology.files import read_fabric, write_fabric
from fabricscope.topology.limits import at_most

__all__ = ["FAILURE_KINDS", "Experiment", "Fabrics", "read_experiment"]

DEFAULT_FABRIC: Final = "textbook"
DEFAULT_WORKLOAD: Final = "allreduce:ring:64MiB:iterations=4"
DEFAULT_SCHEMES: Final = ("dpfr", "bgp", "bfd", "none")
SITE_FABRIC: Final = "site"
IMPORTED: Final = "import:"
ENGINES: Final = ("auto", "flow", "packet", "hybrid")
FAILURE_KINDS: Final = {
    "": "goes down",
    ":oneway": "one direction goes down",
    ":silent": "dies silently, no port goes down",
    ":rate=25%": "runs at a quarter of its rate",
    ":loss=1%": "loses 1 % of its packets",
}
"""Modifiers of a failure, and what they mean."""
FAILURES_LIMIT: Final = 16
SCHEMES_LIMIT: Final = 8
REPETITIONS_LIMIT: Final = 100
LINKS_LIMIT: Final = 20_000
"""Most links of a fabric that an address or a file describes; presets and the site's own are known
beforehand. The site makes a fabric itself, while it answers others."""
_IMPORTS_KEPT: Final = 16
_FABRICS_KEPT: Final = 2
_SEPARATOR: Final = ";"
_TIMEOUTS: Final = range(1, 32)


@dataclass(frozen=True)
class Experiment:
    """What to simulate, as the page's parameters say."""

    fabric: str
    failures: tuple[str, ...]
    schemes: tuple[str, ...]
    workload: str
    engine: str = "auto"
    repetitions: int = 1
    timeout: int = 14

    def parameters(self) -> dict[str, str]:
        """Return the page parameters that say the same."""
        return {
            "fabric": self.fabric,
            "fail": _SEPARATOR.join(self.failures),
            "schemes": ",".join(self.schemes),
            "workload": self.workload,
            "engine": self.engine if self.engine != "auto" else "",
            "repeat": str(self.repetitions) if self.repetitions > 1 else "",
            "timeout": str(self.timeout) if self.timeout != 14 else "",
        }

    def content(self, fabric: str) -> dict[str, Any]:
        """Return the scenario's keys; fabric: short form or file, as the simulator takes it."""
        return {
            "fabric": fabric,
            "failures": list(self.failures),
            "recovery": list(self.schemes),
            "workload": self.workload,
            "engine": self.engine,
            "repetitions": self.repetitions,
            "nic": {"timeout": self.timeout},
        }


def read_experiment(view: View, *, site_fabric: bool = False) -> Experiment:
    """Return the experiment of an address; what it leaves out, or says wrongly, is as usual."""
    failures = [part.strip() for part in view.parameter("fail").split(_SEPARATOR)]
    schemes = [part.strip() for part in view.parameter("schemes").split(",")]
    repeat, timeout = view.parameter("repeat"), view.parameter("timeout")
    engine = view.parameter("engine")
    return Experiment(
        fabric=view.parameter("fabric") or (SITE_FABRIC if site_fabric else DEFAULT_FABRIC),
        failures=tuple(dict.fromkeys(part for part in failures if part))[:FAILURES_LIMIT],
        schemes=tuple(dict.fromkeys(part for part in schemes if part))[:SCHEMES_LIMIT]
        or DEFAULT_SCHEMES,
        workload=view.parameter("workload") or DEFAULT_WORKLOAD,
        engine=engine if engine in ENGINES else "auto",
        repetitions=min(max(_number(repeat, 1), 1), REPETITIONS_LIMIT),
        timeout=_number(timeout, 14) if _number(timeout, 14) in _TIMEOUTS else 14,
    )


def _number(text: str, default: int) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,4}", text) else default


class Fabrics:
    """The fabrics that experiments may name: built ones, the site's, and those brought in."""

    def __init__(self, own: Fabric | None) -> None:
        """Know the site's own fabric, if it has one."""
        self.own = own
        self._lock = threading.Lock()
        self._imports: OrderedDict[str, Path] = OrderedDict()
        self._folder: Path | None = None

    def find(self, name: str) -> tuple[Fabric, str]:
        """Return the fabric called `name`, and how the simulator calls it. Raises FabricError."""
        if name == SITE_FABRIC:
            if self.own is None:
                raise FabricError(
                    "this site has no fabric of its own; give it one with --topology, or choose a "
                    "preset"
                )
            return self.own, str(self._own_file())
        if name.startswith(IMPORTED):
            path = self._imports.get(name)
            if path is None:
                raise FabricError("this import is gone; bring the file in again")
            return _read(path), str(path)
        if name in PRESETS or name.partition(":")[0] in KINDS:
            return _build(name), name
        raise FabricError(
            f"{name[:80]!r} is neither a preset nor a short form such as "
            f"leaf-spine:8x4x16@400G; presets are {', '.join(PRESETS)}"
        )

    def bring_in(self, file_name: str, content: bytes) -> str:
        """Keep a fabric file of any format that can be read; return its name. Raises FabricError.

        The name says the content, so that an address that has it never means another fabric. The
        oldest beyond _IMPORTS_KEPT are forgotten.
        """
        suffix = re.sub(r"[^A-Za-z0-9.]", "", "".join(Path(file_name).suffixes[-2:]))[:20]
        digest = hashlib.blake2b(suffix.encode() + b"\n" + content, digest_size=8).hexdigest()
        name = f"{IMPORTED}{digest}"
        with self._lock:
            if name in self._imports:
                self._imports.move_to_end(name)
                return name
            path = self._place() / f"fabric-{digest}{suffix}"
        path.write_bytes(content)
        try:
            _read(path)
        except FabricError as error:
            path.unlink(missing_ok=True)
            # The file's place on the server means nothing to whoever sent it.
            shown = Path(file_name).name[:80] or "file"
            raise FabricError(str(error).replace(str(path), shown)) from None
        with self._lock:
            self._imports[name] = path
            while len(self._imports) > _IMPORTS_KEPT:
                self._imports.popitem(last=False)[1].unlink(missing_ok=True)
        return name

    def close(self) -> None:
        """Delete the files."""
        with self._lock:
            folder, self._folder = self._folder, None
            self._imports.clear()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def _place(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="fabricscope-fabrics-"))
        return self._folder

    def _own_file(self) -> Path:
        """Return a file of the site's own fabric, for the simulator's process."""
        assert self.own is not None
        with self._lock:
            path = self._place() / "site.toml"
            if not path.exists():
                write_fabric(self.own, path, "toml")
            return path


@functools.lru_cache(maxsize=_FABRICS_KEPT)
def _build(spec: str) -> Fabric:
    if spec in PRESETS:
        return build(spec)
    with at_most(LINKS_LIMIT):
        return build(spec)


@functools.lru_cache(maxsize=_FABRICS_KEPT)
def _read(path: Path) -> Fabric:
    with at_most(LINKS_LIMIT):
        fabric = read_fabric(path).fabric
    if len(fabric.links) > LINKS_LIMIT:
        raise FabricError(
            f"{path}: {len(fabric.links):,} links are more than the {LINKS_LIMIT:,} that the site "
            "takes; run it with fabricscope simulate"
        )
    return fabric
