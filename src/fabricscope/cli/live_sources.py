"""What `fabricscope live` watches: mirror ports, tunnels, a pipe, switches, own counters."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from fabricscope.collectors.counters.ports import PortCounters
from fabricscope.collectors.gnmi.client import GnmiClient
from fabricscope.collectors.gnmi.counters import GnmiPorts
from fabricscope.collectors.gnmi.targets import parse_target
from fabricscope.collectors.mirror.filters import compile_filter
from fabricscope.collectors.mirror.ring import BLOCK_BYTES, MirrorRing
from fabricscope.collectors.mirror.tunnels import FILTERS, MirrorTunnels
from fabricscope.collectors.sflow.listener import SflowListener
from fabricscope.errors import ConfigError
from fabricscope.pipeline.live.feeds import Feed, FileFeed, RingFeed, SilentFeed
from fabricscope.pipeline.live.ports import CounterSource, SampleSource, SflowSource

if TYPE_CHECKING:
    from fabricscope.cli.live import LiveRequest

__all__ = ["open_feed", "open_sources"]

_SFLOW: Final = "sflow"


def open_feed(request: "LiveRequest", stack: ExitStack) -> Feed:
    """Open where packets come from. Raises ConfigError for what cannot be opened."""
    unknown = [kind for kind in request.listen if kind not in (*FILTERS, _SFLOW)]
    if unknown:
        raise ConfigError(
            f"--listen {unknown[0]}: there is no such source; it is one of "
            + ", ".join((*FILTERS, _SFLOW))
        )
    tunnels = [kind for kind in request.listen if kind in FILTERS]
    if request.capture and (request.interfaces or tunnels):
        raise ConfigError("- for a capture on standard input excludes --interface and mirrors")
    if tunnels and not request.interfaces:
        raise ConfigError(
            f"--listen {tunnels[0]} needs --interface IF: where the mirrors arrive (one or more)"
        )
    if request.capture:
        file = FileFeed("-", speed=0)
        stack.callback(file.close)
        return file
    if request.interfaces:
        wrapped = MirrorTunnels(tunnels, request.interfaces) if tunnels else None
        return RingFeed(_open_rings(request, tunnels, stack), wrapped)
    if request.counters or request.listen or request.gnmi:
        return SilentFeed()
    raise ConfigError(
        "live needs either --interface IF (one or more), - for a capture on standard input, "
        "--listen sflow, --counters all, or --gnmi gnmi://HOST:PORT"
    )


def _open_rings(request: "LiveRequest", tunnels: list[str], stack: ExitStack) -> list[MirrorRing]:
    parts = [f"({request.filter})"] if request.filter else []
    if tunnels:
        expressions = dict.fromkeys(FILTERS[kind][1] for kind in tunnels)
        parts.append("(" + " or ".join(expressions) + ")")
    # One part alone goes as it was written: libpcap quotes it when it is wrong.
    expression = request.filter if len(parts) == 1 and request.filter else " and ".join(parts)
    program = compile_filter(expression) if expression else b""
    blocks = max(4, (request.ring_mib << 20) // BLOCK_BYTES)
    rings = []
    for tap, interface in enumerate(request.interfaces):
        ring = MirrorRing(
            interface,
            tap=tap,
            program=program,
            blocks=blocks,
            hardware_time=request.hardware_time,
            promiscuous=not tunnels,
        )
        stack.enter_context(ring)
        rings.append(ring)
    return rings


def open_sources(request: "LiveRequest", collector: str, stack: ExitStack) -> list[SampleSource]:
    """Open what has a say beside the packets. Raises ConfigError for what cannot be opened."""
    sources: list[SampleSource] = []
    if _SFLOW in request.listen:
        listener = stack.enter_context(SflowListener(request.sflow_port))
        sources.append(SflowSource(listener, collector))
    if request.counters:
        names = [name.strip() for name in request.counters.split(",") if name.strip()]
        counters = stack.enter_context(PortCounters(names))
        sources.append(CounterSource(counters, "counters", collector))
    if request.gnmi:
        streamed = GnmiPorts()
        for text in request.gnmi:
            stack.enter_context(GnmiClient(parse_target(text), streamed))
        sources.append(CounterSource(streamed, "gnmi", collector))
    return sources
