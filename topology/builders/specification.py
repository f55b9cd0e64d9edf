"""The short form of a fabric: `leaf-spine:8x4x16@400G`, `fat-tree:k=8@100G`, a preset or a file.

    KIND:SHAPE[@RATE][,KEY=VALUE]...

Here are names, numbers and units; what they become is the builders' part.
"""

import difflib
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from fabricscope.errors import FabricError
from fabricscope.topology.builders.clos import build_clos, build_fat_tree, build_leaf_spine
from fabricscope.topology.builders.dual import build_dual_plane, build_dual_tor
from fabricscope.topology.builders.presets import PRESETS
from fabricscope.topology.builders.rail import build_rail
from fabricscope.topology.builders.wiring import Hardware
from fabricscope.topology.fabric import Fabric
from fabricscope.topology.quantities import parse_rate_gbps, parse_time_ns

__all__ = ["KINDS", "build"]

_LONGEST: Final = 1_000
_MOST: Final = 10**12  # far above any limit on devices, which then names the count
_NUMBER: Final = r"(\d{1,15}(?:\.\d{1,15})?)"
_FASTEST_GBPS: Final = 1e6
_SLOWEST_NS: Final = 1e9
_LENGTHS: Final = ("host_length", "spine_length", "core_length")


class Kind(NamedTuple):
    """shape: what the numbers between the x are; extra: options of this kind only."""

    shape: tuple[str, ...]
    build: Callable[..., Fabric]
    extra: tuple[str, ...] = ()


KINDS: Final[dict[str, Kind]] = {
    "leaf-spine": Kind(("leaves", "spines", "hosts"), build_leaf_spine),
    "clos": Kind(("pods", "leaves", "spines", "cores", "hosts"), build_clos),
    "fat-tree": Kind(("k",), build_fat_tree),
    "rail": Kind(("servers", "gpus", "spines"), build_rail, ("units", "pods", "cores")),
    "dual-tor": Kind(("pairs", "spines", "hosts"), build_dual_tor),
    "dual-plane": Kind(("groups", "spines", "hosts"), build_dual_plane, ("planes", "endpoint")),
}
"""The builders by the name that begins a specification."""

_RATES: Final = ("uplink", "core", "nvlink")
_COUNTS: Final = ("links", "core_links")
_OPTIONS: Final = (*_RATES, *_COUNTS, *_LENGTHS, "forwarding", "oversubscription")


def build(spec: str) -> Fabric:
    """Return the fabric that `spec` describes: a short form, a preset's name, or a file's path.

    Raises FabricError with the part of the specification that is wrong, and what would be right.
    """
    if spec in PRESETS:
        fabric = build(PRESETS[spec].specification)
        return Fabric(spec, fabric.devices, fabric.links, spec)
    kind, colon, rest = spec.partition(":")
    if colon and kind in KINDS:
        if len(spec) > _LONGEST:
            raise FabricError(f"{spec[:40]}...: a fabric is described in {_LONGEST} characters")
        return _build(spec, kind, rest)
    if _names_file(spec):
        from fabricscope.topology.files import read_fabric

        return read_fabric(Path(spec)).fabric
    known = [*PRESETS, *KINDS]
    close = difflib.get_close_matches(kind, known, 1, 0.5)
    meant = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    raise FabricError(f"{spec[:80]!r} is neither a fabric nor a file; {meant}")


def _parse_rate(text: str, where: str) -> float:
    if re.fullmatch(_NUMBER, text, re.A):
        text += "G"
    try:
        rate_gbps = parse_rate_gbps(text)
    except FabricError as error:
        raise FabricError(f"{where}: {error}") from error
    if rate_gbps > _FASTEST_GBPS:
        raise FabricError(f"{where}: rate {text[:40]!r} is above {_FASTEST_GBPS:,.0f} Gb/s")
    return rate_gbps


def _names_file(spec: str) -> bool:
    if not spec or "\0" in spec or len(spec) > _LONGEST:
        return False
    return "/" in spec or bool(Path(spec).suffix) or Path(spec).exists()


def _build(spec: str, name: str, rest: str) -> Fabric:
    kind = KINDS[name]
    head, *pairs = rest.split(",")
    shape_text, at, rate_text = head.partition("@")
    shape = _parse_shape(spec, name, kind, shape_text)
    hardware = Hardware()
    if at:
        rate = _parse_rate(rate_text, spec)
        hardware = hardware._replace(rate=rate, uplink=rate, core=rate)
    given: set[str] = set()
    extra: dict[str, int | str] = {}
    ratio = 0.0
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or key not in (*_OPTIONS, *kind.extra) or key in given:
            raise FabricError(f"{spec}: {_explain_option(key, equals, kind, given)}")
        given.add(key)
        if key == "oversubscription":
            ratio = _parse_number(spec, key, value)
        elif key == "endpoint":
            extra[key] = _parse_endpoint(spec, value)
        elif key in kind.extra:
            extra[key] = _parse_count(spec, key, value)
        else:
            hardware = _set_option(spec, hardware, key, value)
    if ratio:
        hardware = _oversubscribe(spec, hardware, kind, shape, ratio, given)
    fabric: Fabric = kind.build(spec, *shape, hardware, **extra)
    return fabric


def _explain_option(key: str, equals: str, kind: Kind, given: set[str]) -> str:
    if key in given:
        return f"{key} is given twice; leave one out"
    if not equals:
        return f"{key[:40]!r} is no option; write KEY=VALUE, such as uplink=800G"
    known = (*_OPTIONS, *kind.extra)
    close = difflib.get_close_matches(key, known, 1, 0.5)
    meant = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    return f"no option is called {key[:40]!r}; {meant}"


def _parse_shape(spec: str, name: str, kind: Kind, text: str) -> list[int]:
    if kind.shape == ("k",):
        text = text.removeprefix("k=")
    parts = text.split("x")
    if len(parts) != len(kind.shape):
        wanted = "k=EVEN" if kind.shape == ("k",) else " x ".join(kind.shape)
        raise FabricError(f"{spec}: {name} needs {wanted}, not {text[:40]!r}")
    return [_parse_count(spec, what, part) for what, part in zip(kind.shape, parts, strict=True)]


def _parse_count(spec: str, key: str, text: str) -> int:
    if not re.fullmatch(r"\d{1,13}", text, re.A) or not 0 < int(text) <= _MOST:
        raise FabricError(f"{spec}: {key} must be a whole number from 1, not {text[:40]!r}")
    return int(text)


def _parse_number(spec: str, key: str, text: str) -> float:
    if not re.fullmatch(_NUMBER, text, re.A) or not 0 < float(text) <= _MOST:
        raise FabricError(f"{spec}: {key} must be a number above 0, not {text[:40]!r}")
    return float(text)


def _parse_endpoint(spec: str, text: str) -> str:
    if text not in ("host", "gpu"):
        raise FabricError(f"{spec}: endpoint must be host or gpu, not {text[:40]!r}")
    return text


def _set_option(spec: str, hardware: Hardware, key: str, value: str) -> Hardware:
    if key == "nvlink" and value == "0":
        return hardware._replace(nvlink=0.0)
    if key in _RATES:
        return _replace(hardware, key, _parse_rate(value, f"{spec}: {key}"))
    if key in _COUNTS:
        return _replace(hardware, key, _parse_count(spec, key, value))
    if key in _LENGTHS:
        return _replace(hardware, key, _parse_number(spec, key, value.removesuffix("m")))
    try:
        forwarding_ns = parse_time_ns(value)
    except FabricError as error:
        raise FabricError(f"{spec}: {key}: {error}") from error
    if forwarding_ns > _SLOWEST_NS:
        raise FabricError(f"{spec}: {key}: {value[:40]!r} is above 1 s; no switch takes so long")
    return hardware._replace(forwarding_ns=forwarding_ns)


def _replace(hardware: Hardware, key: str, value: float) -> Hardware:
    return Hardware(**{**hardware._asdict(), key: value})


def _oversubscribe(
    spec: str, hardware: Hardware, kind: Kind, shape: list[int], ratio: float, given: set[str]
) -> Hardware:
    """Return hardware whose leaf uplinks carry 1 / `ratio` of what a leaf's endpoints may send."""
    if "uplink" in given:
        raise FabricError(f"{spec}: uplink and oversubscription say the same; leave one out")
    sizes = dict(zip(kind.shape, shape, strict=True))
    below = sizes.get("hosts", sizes.get("servers", sizes.get("k", 0) / 2))
    above = sizes.get("spines", sizes.get("k", 0) / 2)
    uplink = below * hardware.rate / (above * hardware.links * ratio)
    if not math.isfinite(uplink) or uplink <= 0:
        raise FabricError(f"{spec}: oversubscription={ratio:g} leaves no rate for the uplinks")
    return hardware._replace(uplink=uplink)
