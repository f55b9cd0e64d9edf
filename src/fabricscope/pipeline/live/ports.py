"""Counters of switches and of this host as a running pipeline's samples: sFlow, gNMI, sysfs.

A source is polled between batches and asked once a second; it waits for nothing. Reading sockets
and files is the collectors' business.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
import polars as pl

from fabricscope.analyzers.links.health import score_links
from fabricscope.collectors.counters.ports import PortCounters
from fabricscope.collectors.gnmi.counters import GnmiPorts
from fabricscope.collectors.ports import PortInterval
from fabricscope.collectors.sflow.agents import SflowAgents
from fabricscope.collectors.sflow.listener import SflowListener
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
    names: Mapping[str, str],
) -> pl.DataFrame:
    """Return link_samples rows; names: from a port's own name to its link's."""
    if not intervals:
        return pl.DataFrame()
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
    }
    score, reasons = score_links(metrics)
    texts: list[list[str]] = [[] for _ in intervals]
    for reason in reasons:
        texts[reason.row].append(reason.text)
    nothing = np.full(len(intervals), np.nan)
    columns |= {
        "time_ns": np.full(len(intervals), start_ns, np.int64),
        "collector": [collector] * len(intervals),
        "link": [names.get(one.port, one.port) for one in intervals],
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


def _column(intervals: Sequence[PortInterval], name: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array([getattr(one, name) for one in intervals], np.int64)


class SflowSource:
    """sFlow agents: counters as source `sflow`, estimates from samples as `sflow_sampled`."""

    def __init__(
        self, listener: SflowListener, collector: str, names: Mapping[str, str] | None = None
    ) -> None:
        """Take an open listener; names: from a port's own name to its link's."""
        self.agents = SflowAgents()
        self._listener = listener
        self._collector = collector
        self._names = names or {}
        self._told = (0, 0)

    def poll(self) -> None:
        """Take in the datagrams that have come."""
        for time_ns, data in self._listener.receive():
            self.agents.take(time_ns, data)

    def sample(self, start_ns: int, end_ns: int) -> dict[str, pl.DataFrame]:
        """Return the ports' rows, and what came from each agent as rows of taps."""
        self.poll()
        links = [
            port_samples(start_ns, self._collector, source, intervals, self._names)
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
        names: Mapping[str, str] | None = None,
    ) -> None:
        """Take open counters; names: from a port's own name to its link's."""
        self._counters = counters
        self._source = source
        self._collector = collector
        self._names = names or {}

    def poll(self) -> None:
        """Do nothing: counters wait."""

    def sample(self, start_ns: int, end_ns: int) -> dict[str, pl.DataFrame]:
        """Return what the ports did since the last call."""
        intervals = self._counters.intervals()
        frame = port_samples(start_ns, self._collector, self._source, intervals, self._names)
        return {} if frame.is_empty() else {"link_samples": frame}
