"""What `fabricscope live` watches: mirror ports, tunnels, a pipe, switches, own counters."""

from contextlib import ExitStack
from typing import Final

from fabricscope.collectors.counters.ports import PortCounters
from fabricscope.collectors.gnmi.client import GnmiClient
from fabricscope.collectors.gnmi.counters import GnmiPorts
from fabricscope.collectors.gnmi.targets import parse_target
from fabricscope.collectors.mirror.filters import compile_filter
from fabricscope.collectors.mirror.ring import BLOCK_BYTES, MirrorRing
from fabricscope.collectors.mirror.tunnels import FILTERS, MirrorTunnels
from fabricscope.collectors.sflow.listener import SflowListener
from fabricscope.config import LiveSettings
from fabricscope.errors import ConfigError
from fabricscope.pipeline.live.feeds import Feed, FileFeed, RingFeed, SilentFeed
from fabricscope.pipeline.live.monitor import MonitorOptions
from fabricscope.pipeline.live.ports import CounterSource, SampleSource, SflowSource

__all__ = ["check_sources", "open_feed", "open_rings", "open_sources"]

_SFLOW: Final = "sflow"


def check_sources(capture: str, settings: LiveSettings) -> None:
    """Raise ConfigError for sources that do not go together, or none."""
    unknown = [kind for kind in settings.listen if kind not in (*FILTERS, _SFLOW)]
    if unknown:
        raise ConfigError(
            f"--listen {unknown[0]}: there is no such source; it is one of "
            + ", ".join((*FILTERS, _SFLOW))
        )
    tunnels = _tunnels(settings)
    if capture and (settings.interface or tunnels):
        raise ConfigError("- for a capture on standard input excludes --interface and mirrors")
    if tunnels and not settings.interface:
        raise ConfigError(
            f"--listen {tunnels[0]} needs --interface IF: where the mirrors arrive (one or more)"
        )
    if settings.processes > 1:
        if not settings.interface:
            raise ConfigError("--processes needs --interface IF: they share its packets")
        if tunnels:
            raise ConfigError(
                f"--processes 1 is what --listen {tunnels[0]} needs: mirrors in tunnels are "
                "between the same two addresses, which the processes share packets by"
            )
    watched = (settings.interface, settings.counters, settings.listen, settings.gnmi)
    if not capture and not any(watched):
        raise ConfigError(
            "live needs either --interface IF (one or more), - for a capture on standard input, "
            "--listen sflow, --counters all, or --gnmi gnmi://HOST:PORT"
        )


def open_feed(capture: str, settings: LiveSettings, stack: ExitStack) -> Feed:
    """Open where packets come from. Raises ConfigError for what cannot be opened."""
    if capture:
        file = FileFeed("-", speed=0)
        stack.callback(file.close)
        return file
    if settings.interface:
        tunnels = _tunnels(settings)
        wrapped = MirrorTunnels(tunnels, settings.interface) if tunnels else None
        (rings,) = open_rings(settings, stack)
        return RingFeed(rings, wrapped)
    return SilentFeed()


def _tunnels(settings: LiveSettings) -> list[str]:
    return [kind for kind in settings.listen if kind in FILTERS]


def open_rings(settings: LiveSettings, stack: ExitStack) -> list[list[MirrorRing]]:
    """Return open rings, not started: for each process one on each interface."""
    tunnels = _tunnels(settings)
    parts = [f"({settings.filter})"] if settings.filter else []
    if tunnels:
        expressions = dict.fromkeys(FILTERS[kind][1] for kind in tunnels)
        parts.append("(" + " or ".join(expressions) + ")")
    # One part alone goes as it was written: libpcap quotes it when it is wrong.
    expression = settings.filter if len(parts) == 1 and settings.filter else " and ".join(parts)
    program = compile_filter(expression) if expression else b""
    blocks = max(4, (settings.ring << 20) // BLOCK_BYTES)
    rings = []
    for _ in range(settings.processes):
        own = []
        for tap, interface in enumerate(settings.interface):
            ring = MirrorRing(
                interface,
                tap=tap,
                program=program,
                blocks=blocks,
                hardware_time=settings.hardware_time,
                promiscuous=not tunnels,
            )
            ring.open()
            stack.callback(ring.close)
            own.append(ring)
        rings.append(own)
    return rings


def open_sources(
    settings: LiveSettings, options: MonitorOptions, stack: ExitStack
) -> list[SampleSource]:
    """Open what has a say beside the packets. Raises ConfigError for what cannot be opened."""
    sources: list[SampleSource] = []
    collector, naming = options.collector, options.naming
    if _SFLOW in settings.listen:
        listener = stack.enter_context(SflowListener(settings.sflow_port))
        sources.append(SflowSource(listener, collector, naming))
    if settings.counters:
        names = [name.strip() for name in settings.counters.split(",") if name.strip()]
        counters = stack.enter_context(PortCounters(names))
        sources.append(CounterSource(counters, "counters", collector, naming))
    if settings.gnmi:
        streamed = GnmiPorts()
        for text in settings.gnmi:
            stack.enter_context(GnmiClient(parse_target(text), streamed))
        sources.append(CounterSource(streamed, "gnmi", collector, naming))
    return sources
