"""All recovery schemes by name: what they are, their parameters, and how they are made.

To add one: write a file with its parameters and a class that is a `Scheme`, and name it here.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from fabricscope.errors import FabricError
from fabricscope.topology.recovery import (
    bgp,
    dpfr,
    dpfr_sampled,
    host_based,
    ip_frr,
    ospf,
    shield,
    static,
)
from fabricscope.topology.recovery.parameters import (
    PROFILES,
    Parameters,
    Setting,
    build_parameters,
)
from fabricscope.topology.recovery.plan import Scheme

__all__ = ["SCHEMES", "ParameterText", "SchemeEntry", "describe_parameters", "make_scheme"]

NO_FALLBACK: Final = "none"


@dataclass(frozen=True)
class SchemeEntry:
    """One scheme.

    make: from name, parameters and the scheme that runs beneath (None where `parameters` has no
    `fallback`). variant: values that make this scheme out of its class, before any profile's.
    """

    summary: str
    parameters: type[Parameters]
    make: Callable[[str, Any, Scheme | None], Scheme]
    frr: Mapping[str, Setting] = field(default_factory=dict)
    variant: Mapping[str, Setting] = field(default_factory=dict)


def _alone(make: Callable[[str, Any], Scheme]) -> Callable[[str, Any, Scheme | None], Scheme]:
    return lambda name, parameters, beneath: make(name, parameters)


def _bgp(summary: str, **variant: Setting) -> SchemeEntry:
    return SchemeEntry(summary, bgp.BgpParameters, _alone(bgp.Bgp), bgp.FRR, variant)


def _ospf(summary: str, **variant: Setting) -> SchemeEntry:
    return SchemeEntry(summary, ospf.OspfParameters, _alone(ospf.Ospf), ospf.FRR, variant)


def _dpfr(summary: str, **variant: Setting) -> SchemeEntry:
    return SchemeEntry(summary, dpfr.DpfrParameters, dpfr.Dpfr, dpfr.FRR, variant)


_NAMED: Final = "the scheme's own name says so"
_TRADITIONAL: Final = "FRR's traditional profile"

SCHEMES: Final[dict[str, SchemeEntry]] = {
    "none": SchemeEntry("static equal-cost routes", static.StaticParameters, _alone(static.Static)),
    "dpfr": _dpfr("DPFR driven by ports, local and remote"),
    "dpfr-local": _dpfr("DPFR without notifications", remote=Setting(False, _NAMED)),
    "dpfr-remote": _dpfr("DPFR's notifications only", local=Setting(False, _NAMED)),
    "dpfr-sampled": SchemeEntry(
        "DPFR as published: from sampled packets, hop by hop",
        dpfr_sampled.DpfrSampledParameters,
        dpfr_sampled.DpfrSampled,
        dpfr.FRR,
    ),
    "bgp": _bgp("eBGP with data-centre timers"),
    "bgp-traditional": _bgp(
        "eBGP with traditional timers",
        hold_time=Setting("180s", _TRADITIONAL),
        keepalive=Setting("60s", _TRADITIONAL),
    ),
    "bfd": _bgp("eBGP with BFD on each session", bfd=Setting(True, _NAMED)),
    "ospf": _ospf("OSPF with throttled computation"),
    "ospf-bfd": _ospf("OSPF with BFD for each neighbour", bfd=Setting(True, _NAMED)),
    "ip-frr": SchemeEntry(
        "fast reroute on repair paths made beforehand (TI-LFA)",
        ip_frr.IpFrrParameters,
        ip_frr.IpFrr,
        ip_frr.FRR,
    ),
    "shield": SchemeEntry(
        "adaptive routing that masks ports and notifies neighbours (SHIELD-like)",
        shield.ShieldParameters,
        _alone(shield.Shield),
    ),
    "prr": SchemeEntry(
        "senders that take another path after a time-out (PRR)",
        host_based.PrrParameters,
        host_based.HostBased,
    ),
    "reps": SchemeEntry(
        "senders that spray and drop paths without ACKs (REPS)",
        host_based.RepsParameters,
        host_based.HostBased,
    ),
}


def make_scheme(
    name: str, profile: str = "asic", settings: Mapping[str, object] | None = None
) -> Scheme:
    """Return the scheme `name` with the parameters of `profile`, changed by `settings`.

    Raises FabricError for a name, profile or parameter that does not exist.
    """
    entry = _find(name)
    if profile not in PROFILES:
        raise FabricError(f"recovery profile {profile!r} is unknown; take {' or '.join(PROFILES)}")
    values = build_parameters(
        f"recovery {name}", entry.parameters, _merge(entry, profile), settings or {}
    )
    fallback = getattr(values, "fallback", NO_FALLBACK)
    beneath = None
    if fallback != NO_FALLBACK:
        if "fallback" in _find(fallback).parameters.model_fields:
            raise FabricError(
                f"recovery {name}: {fallback} cannot run beneath another scheme; take bgp or ospf"
            )
        beneath = make_scheme(fallback, profile)
    return entry.make(name, values, beneath)


def _find(name: str) -> SchemeEntry:
    if name in SCHEMES:
        return SCHEMES[name]
    close = difflib.get_close_matches(name, SCHEMES, 1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(SCHEMES)}"
    raise FabricError(f"recovery scheme {name!r} is unknown; {hint}")


def _merge(entry: SchemeEntry, profile: str) -> dict[str, Setting]:
    return {**(entry.frr if profile == "frr" else {}), **entry.variant}


class ParameterText(NamedTuple):
    """One parameter of a scheme, for people. value: in `unit`, a list where it is random."""

    name: str
    value: object
    unit: str
    description: str
    source: str


def describe_parameters(name: str, profile: str = "asic") -> list[ParameterText]:
    """Return the parameters of a scheme with the values and sources of a profile."""
    entry = _find(name)
    own = _merge(entry, profile)
    values = build_parameters(f"recovery {name}", entry.parameters, own, {}).model_dump()
    out = []
    for key, field_info in entry.parameters.model_fields.items():
        extra = field_info.json_schema_extra
        about: dict[str, Any] = dict(extra) if isinstance(extra, dict) else {}
        source = own[key].source if key in own else str(about["source"])
        out.append(
            ParameterText(
                key, values[key], str(about["unit"]), field_info.description or "", source
            )
        )
    return out
