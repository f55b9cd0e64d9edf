"""Counters of switches and of this host as a running pipeline's samples: sFlow, gNMI, sysfs.

A source is polled between batches and asked once a second; it waits for nothing. Reading sockets
and files is the collectors' business.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

import numpy as np
import polars as pl

from fabricscope.analyzers.links.health import score_links
from fabricscope.analyzers.links.parallel import imbalance
from fabricscope.collectors.counters.ports import PortCounters
from fabricscope.collectors.gnmi.counters import GnmiPorts
from fabricscope.collectors.ports import PortInterval
from fabricscope.collectors.sflow.agents import SflowAgents
from fabricscope.collectors.sflow.listener import SflowListener
from fabricscope.pipeline.live.naming import Naming
from fabricscope.schemas import schema_of

__all__ = ["CounterSource", "SampleSource", "SflowSource", "port_samples"]

_COUNTED: Final = (
    "packets",
    "bytes",
    "errors",
    "discards",
    "flaps",
    "ecn_capable",
    "ecn_marked",
    "pause_ns",
    "naks",
    "cnps",
)


class SampleSource(Protocol):
    """Something beside the packets that has a say each second."""

    def poll(self) -> None:
        """Take in what has come; called often, and must not wait."""
        ...

    def sample(self, start_ns: int, end_ns: int) -> dict[str, pl.DataFrame]:
        """Return rows by the name of their table for the second that ends."""
        ...


def port_samples(
    start_ns: int,
    collector: str,
    source: str,
    intervals: Sequence[PortInterval],
    naming: Naming,
) -> pl.DataFrame:
    """Return link_samples rows, with links in the place of the ports whose links are known."""
    if not intervals:
        return pl.DataFrame()
    intervals = placed(intervals, naming)
    columns: dict[str, Any] = {name: _column(intervals, name) for name in _COUNTED}
    length_ns = _column(intervals, "interval_ns")
    rate = np.array([one.rate_gbps or np.nan for one in intervals], np.float64)
    packets = columns["packets"]
    metrics = {
        "utilization": columns["bytes"] * 8 / (rate * length_ns),
        "error_ratio": columns["errors"] / np.maximum(packets + columns["errors"], 1),
        "discard_ratio": columns["discards"] / np.maximum(packets + columns["discards"], 1),
        "flaps": columns["flaps"].astype(np.float64),
        "down_share": _column(intervals, "down_ns") / length_ns,
        "pause_share": columns["pause_ns"] / length_ns,
        "ecn_ratio": columns["ecn_marked"] / np.maximum(columns["ecn_capable"], 1),
        "imbalance": imbalance(
            _groups(intervals, naming),
            columns["bytes"] / length_ns,
            rate,
            1,
        ),
    }
    score, reasons = score_links(metrics)
    texts: list[list[str]] = [[] for _ in intervals]
    for reason in reasons:
        texts[reason.row].append(reason.text)
    nothing = np.full(len(intervals), np.nan)
    columns |= {
        "time_ns": np.full(len(intervals), start_ns, np.int64),
        "collector": [collector] * len(intervals),
        "link": [one.port for one in intervals],
        "direction": [one.direction for one in intervals],
        "source": [source] * len(intervals),
        "rate_gbps": rate,
        "utilization": metrics["utilization"],
        "burst": nothing,
        "lost": np.zeros(len(intervals), np.int64),
        "rx_power_dbm": [one.rx_power_dbm for one in intervals],
        "score": score,
        "reasons": [
            "; ".join([*text, *one.notes]) for text, one in zip(texts, intervals, strict=True)
        ],
        **{f"ack_rtt_{part}": nothing for part in ("p50", "p99", "max")},
    }
    schema = schema_of("link_samples")
    frame = pl.DataFrame({name: columns[name] for name in schema})
    return frame.cast(schema).fill_nan(None)  # type: ignore[arg-type]


def placed(intervals: Sequence[PortInterval], naming: Naming) -> list[PortInterval]:
    """Return intervals of links instead of ports; both ends of a link become one.

    What the ends carried is one traffic: the larger counts. What went wrong at each is its own
    (errors and discards of both), or of the link as a whole (flaps, time down and paused).
    """
    result: dict[tuple[str, str, int], PortInterval] = {}
    times: Counter[tuple[str, str]] = Counter()
    for number, one in enumerate(intervals):
        place = naming.ports.get(one.port)
        if place is None:
            # A port whose link is not known stays as it is, told from any other.
            result["", "", number] = one
            continue
        # A port may have told of several intervals in a second: these are not ends.
        nth = times[one.port, one.direction]
        times[one.port, one.direction] += 1
        rate = one.rate_gbps or naming.rates.get(place.link)
        moved = replace(one, port=place.link, direction=place.turned(one.direction), rate_gbps=rate)
        key = moved.port, moved.direction, nth
        result[key] = _both_ends(result[key], moved) if key in result else moved
    return list(result.values())


def _groups(intervals: Sequence[PortInterval], naming: Naming) -> list[str]:
    """Return a name for the intervals that may be compared: of different links in one direction."""
    times: Counter[tuple[str, str]] = Counter()
    groups = []
    for one in intervals:
        groups.append(
            f"{naming.group_of(one.port)} {one.direction} {times[one.port, one.direction]}"
        )
        times[one.port, one.direction] += 1
    return groups


def _both_ends(one: PortInterval, other: PortInterval) -> PortInterval:
    added = {name: getattr(one, name) + getattr(other, name) for name in ("errors", "discards")}
    largest = {
        name: max(getattr(one, name), getattr(other, name))
        for name in (*_COUNTED, "down_ns")
        if name not in added
    }
    powers = [end.rx_power_dbm for end in (one, other) if end.rx_power_dbm is not None]
    notes = tuple(dict.fromkeys((*one.notes, *other.notes)))
    power = min(powers) if powers else None
    return replace(one, **added, **largest, rx_power_dbm=power, notes=notes)


def _column(intervals: Sequence[PortInterval], name: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array([getattr(one, name) for one in intervals], np.int64)


class SflowSource:
    """sFlow agents: counters as source `sflow`, estimates from samples as `sflow_sampled`."""

    def __init__(
        self, listener: SflowListener, collector: str, naming: Naming | None = None
    ) -> None:
        """Take an open listener."""
        self.agents = SflowAgents()
        self._listener = listener
        self._collector = collector
        self._naming = naming or Naming()
        self._told = (0, 0)

    def poll(self) -> None:
        """Take in the datagrams that have come."""
        for time_ns, data in self._listener.receive():
            self.agents.take(time_ns, data)

    def sample(self, start_ns: int, end_ns: int) -> dict[str, pl.DataFrame]:
        """Return the ports' rows, and what came from each agent as rows of taps."""
        self.poll()
        links = [
            port_samples(start_ns, self._collector, source, intervals, self._naming)
            for source, intervals in (
                ("sflow", self.agents.counted()),
                ("sflow_sampled", self.agents.estimated(end_ns - start_ns)),
            )
        ]
        links = [frame for frame in links if not frame.is_empty()]
        tables = {"tap_samples": self._taps(start_ns)}
        if links:
            tables["link_samples"] = pl.concat(links)
        return {name: frame for name, frame in tables.items() if not frame.is_empty()}

    def _taps(self, start_ns: int) -> pl.DataFrame:
        schema = schema_of("tap_samples")
        rows: list[dict[str, Any]] = [
            {
                "tap": f"sflow {agent}",
                "packets": counts.flow_samples,
                "bytes": counts.sampled_bytes,
                # One that comes a second after its successor was told as lost before.
                "dropped": counts.lost_datagrams,
                "malformed": counts.malformed,
                "sampling": counts.sampling_rate,
            }
            for agent, counts in self.agents.counts().items()
        ]
        before, self._told = self._told, (self.agents.strangers, self.agents.left_out)
        strangers, left_out = self._told[0] - before[0], self._told[1] - before[1]
        if strangers or left_out:
            rows.append({"tap": "sflow", "malformed": strangers, "skipped": left_out})
        everywhere = {"time_ns": start_ns, "collector": self._collector, "sampling": 1, "level": 0}
        return pl.DataFrame(
            [{name: 0 for name in schema} | everywhere | row for row in rows], schema=schema
        )


class CounterSource:
    """Ports that are asked or that stream by themselves, as source `counters` or `gnmi`."""

    def __init__(
        self,
        counters: PortCounters | GnmiPorts,
        source: str,
        collector: str,
        naming: Naming | None = None,
    ) -> None:
        """Take open counters."""
        self._counters = counters
        self._source = source
        self._collector = collector
        self._naming = naming or Naming()

    def poll(self) -> None:
        """Do nothing: counters wait."""

    def sample(self, start_ns: int, end_ns: int) -> dict[str, pl.DataFrame]:
        """Return what the ports did since the last call."""
        intervals = self._counters.intervals()
        frame = port_samples(start_ns, self._collector, self._source, intervals, self._naming)
        return {} if frame.is_empty() else {"link_samples": frame}
