"""What sFlow agents say about their ports: differences of counters, and estimates from samples.

An estimate is the samples' sum times the sampling rate; with n samples its error is below
196 sqrt(1/n) per cent nineteen times out of twenty (Phaal and Panchen, "Packet sampling basics",
sflow.org). Sampled packets tell nothing about lost ones and go into no queue pair.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.decode import decode
from fabricscope.collectors.ports import PortInterval
from fabricscope.collectors.sflow.datagram import (
    CounterSample,
    Datagram,
    FlowSample,
    InterfaceCounters,
    OpticalCounters,
    parse,
)
from fabricscope.records import (
    BATCH_ROWS,
    FLAG_MALFORMED,
    PROTOCOLS,
    Packets,
    allocate_packets,
    slice_packets,
)

__all__ = ["AgentCounts", "SflowAgents"]

MAX_AGENTS: Final = 1_024
MAX_PORTS: Final = 16_384
"""Agents and ports told apart; what comes from others is counted as left out."""
MAX_SAMPLES: Final = 1 << 18
"""Packet samples held until they are asked for."""

_LINK_TYPES: Final = {1: 1, 11: 101, 12: 101}
"""sFlow's header protocol to LINKTYPE_*: Ethernet, IPv4 and IPv6."""
_ROCE_V2: Final = PROTOCOLS.index("roce_v2")
_CNP: Final = 0x81
_MARKED: Final = 3
_U32: Final = 0xFFFF_FFFF
_REORDERED: Final = 16
_REORDERED_MS: Final = 10_000
_SWITCHED_ON: Final = 1
_OPERATIONALLY_UP: Final = 2
_STATUS: Final = 3


@dataclass
class AgentCounts:
    """What came from one agent since the sample before."""

    flow_samples: int = 0
    sampled_bytes: int = 0
    counter_samples: int = 0
    lost_datagrams: int = 0
    malformed: int = 0
    sampling_rate: int = 1


@dataclass
class _Agent:
    """Where an agent's datagrams stand: sequence and uptime by sub-agent."""

    counts: AgentCounts = field(default_factory=AgentCounts)
    sequences: dict[int, tuple[int, int]] = field(default_factory=dict)


@dataclass
class _Port:
    """A port's counters at the last look, and whether it samples what it sends."""

    time_ns: int = 0
    sequence: int = -1
    counters: InterfaceCounters | None = None
    sample: CounterSample | None = None
    rate_gbps: float | None = None
    egress_sampled: bool = False


class SflowAgents:
    """State of all agents; `take` datagrams as they come, ask for the intervals once a second."""

    def __init__(self, *, max_agents: int = MAX_AGENTS, max_ports: int = MAX_PORTS) -> None:
        """Know no agent yet."""
        self._max_agents = max_agents
        self._max_ports = max_ports
        self._agents: dict[str, _Agent] = {}
        self._ports: dict[tuple[str, int], _Port] = {}
        self._sampled: list[tuple[str, FlowSample]] = []
        self._intervals: list[PortInterval] = []
        self._packets: Packets | None = None
        self.strangers = 0
        """Datagrams that are no sFlow version 5, or of agents beyond the bound."""
        self.left_out = 0
        """Samples beyond a bound."""

    def take(self, time_ns: int, data: bytes) -> None:
        """Take in a datagram that arrived at `time_ns`; whatever it holds, nothing is raised."""
        datagram = parse(data)
        agent = None if datagram is None else self._agent(datagram.agent)
        if datagram is None or agent is None:
            self.strangers += 1
            return
        counts = agent.counts
        restarted = _follow(agent, datagram)
        counts.malformed += datagram.malformed
        counts.counter_samples += len(datagram.counter_samples)
        for counter in datagram.counter_samples:
            self._count(datagram.agent, counter, time_ns, restarted)
        for sample in datagram.flow_samples:
            counts.flow_samples += 1
            counts.sampled_bytes += sample.frame_bytes
            counts.sampling_rate = max(sample.sampling_rate, 1)
            if len(self._sampled) < MAX_SAMPLES:
                self._sampled.append((datagram.agent, sample))
            else:
                self.left_out += 1

    def _agent(self, name: str) -> _Agent | None:
        agent = self._agents.get(name)
        if agent is None and len(self._agents) < self._max_agents:
            agent = self._agents[name] = _Agent()
        return agent

    def _port(self, agent: str, index: int) -> _Port | None:
        port = self._ports.get((agent, index))
        if port is None:
            if len(self._ports) >= self._max_ports:
                self.left_out += 1
                return None
            port = self._ports[agent, index] = _Port()
        return port

    def _count(self, agent: str, sample: CounterSample, time_ns: int, restarted: bool) -> None:
        """Make intervals of a port's counters and those before, if there are any."""
        now = sample.interface
        if now is None:
            return
        port = self._port(agent, now.index)
        if port is None:
            return
        before, last = port.counters, port.sample
        length_ns = time_ns - port.time_ns
        fresh = restarted or sample.sequence <= port.sequence
        if fresh and not restarted and port.sequence - sample.sequence < _REORDERED:
            return  # overtaken by its successor, which covers its time
        if 0 < now.speed_bps < 1 << 63:
            port.rate_gbps = now.speed_bps / 1e9
        port.time_ns, port.sequence = time_ns, sample.sequence
        port.counters, port.sample = now, sample
        if before is None or last is None or fresh or length_ns <= 0:
            return
        # 64-bit counters that fall were set back; nothing is known about the time between.
        if now.in_octets < before.in_octets or now.out_octets < before.out_octets:
            return
        self._intervals += _intervals(_name(agent, now.index), port, length_ns, last, sample)

    def counted(self) -> list[PortInterval]:
        """Return what counters said since the last call; each interval ends now."""
        result, self._intervals = self._intervals, []
        return result

    def estimated(self, length_ns: int) -> list[PortInterval]:
        """Return what flow samples since the last call, over `length_ns`, say about ports."""
        sampled, self._sampled = self._sampled, []
        totals: dict[tuple[str, int, str], NDArray[np.int64]] = defaultdict(
            lambda: np.zeros(5, np.int64)
        )
        for start in range(0, len(sampled), BATCH_ROWS):
            part = sampled[start : start + BATCH_ROWS]
            seen = self._seen([sample for _, sample in part])
            for (agent, sample), row in zip(part, seen, strict=True):
                for index, direction in self._passed(agent, sample):
                    totals[agent, index, direction] += row
        result = []
        for (agent, index, direction), row in totals.items():
            packets, size, capable, marked, cnps = row.tolist()
            result.append(
                PortInterval(
                    _name(agent, index),
                    direction,
                    length_ns,
                    self._ports[agent, index].rate_gbps,
                    packets=packets,
                    bytes=size,
                    ecn_capable=capable,
                    ecn_marked=marked,
                    cnps=cnps,
                )
            )
        return result

    def _passed(self, agent: str, sample: FlowSample) -> list[tuple[int, str]]:
        """Return the ports and directions that a sample counts for.

        A port that samples what it sends has its packets from there, so that those sampled where
        they came in are not added again.
        """
        result = []
        egress = sample.output is not None and sample.source == sample.output != sample.input
        if sample.input is not None and not egress and self._port(agent, sample.input):
            result.append((sample.input, "up"))
        if sample.output is not None:
            port = self._port(agent, sample.output)
            if port is not None:
                port.egress_sampled |= egress
                if egress or not port.egress_sampled:
                    result.append((sample.output, "down"))
        return result

    def _seen(self, samples: Sequence[FlowSample]) -> NDArray[np.int64]:
        """Return (samples, 5) packets, bytes, ECN-capable, marked and CNPs, scaled."""
        rate = np.array([max(sample.sampling_rate, 1) for sample in samples], np.int64)
        size = np.array([sample.frame_bytes for sample in samples], np.int64)
        rows = self._decode(samples)
        good = rows.flags & np.uint32(FLAG_MALFORMED) == 0
        ecn = np.where(good, rows.ecn, 0)
        cnp = good & (rows.protocol == _ROCE_V2) & (rows.opcode == _CNP)
        columns = np.stack([np.ones_like(rate), size, ecn != 0, ecn == _MARKED, cnp], axis=1)
        return columns.astype(np.int64) * rate[:, None]

    def _decode(self, samples: Sequence[FlowSample]) -> Packets:
        """Return the samples' headers decoded, one row each."""
        if self._packets is None:
            self._packets = allocate_packets(BATCH_ROWS)
        rows = slice_packets(self._packets, 0, len(samples))
        headers = [s.header if s.protocol in _LINK_TYPES else b"" for s in samples]
        lengths = np.array([len(header) for header in headers], np.int64)
        rows.packet_offset[:] = np.cumsum(lengths) - lengths
        rows.captured_length[:] = lengths
        rows.wire_length[:] = np.maximum([sample.frame_bytes for sample in samples], lengths)
        rows.link_type[:] = [_LINK_TYPES.get(sample.protocol, 1) for sample in samples]
        rows.frame[:] = np.arange(1, len(samples) + 1)
        decode(np.frombuffer(b"".join(headers) or b"\0", np.uint8), rows)
        return rows

    def counts(self) -> dict[str, AgentCounts]:
        """Return what came from each agent since the last call."""
        result = {name: agent.counts for name, agent in self._agents.items()}
        for agent in self._agents.values():
            agent.counts = AgentCounts(sampling_rate=agent.counts.sampling_rate)
        return result


def _name(agent: str, index: int) -> str:
    return f"{agent} port {index}"


def _follow(agent: _Agent, datagram: Datagram) -> bool:
    """Count datagrams that are missing before this one; return whether the agent began anew."""
    known = agent.sequences.get(datagram.sub_agent)
    if known is None:
        if len(agent.sequences) < MAX_AGENTS:
            agent.sequences[datagram.sub_agent] = datagram.sequence, datagram.uptime_ms
        return False
    sequence, uptime_ms = known
    step = (datagram.sequence - sequence) & _U32
    late = (sequence - datagram.sequence) & _U32
    restarted = datagram.sequence == 1 or datagram.uptime_ms + _REORDERED_MS < uptime_ms
    if late <= _REORDERED and not restarted:
        # It was counted as lost when its successor overtook it.
        agent.counts.lost_datagrams -= int(late > 0)
        return False
    agent.sequences[datagram.sub_agent] = datagram.sequence, datagram.uptime_ms
    if restarted or step >= 1 << 31:
        return True
    agent.counts.lost_datagrams += step - 1
    return False


def _grown(now: int, before: int) -> int:
    """Return what a 32-bit counter grew by; all ones stand for one that is not kept."""
    return 0 if _U32 in (now, before) else (now - before) & _U32


def _intervals(
    name: str, port: _Port, length_ns: int, last: CounterSample, sample: CounterSample
) -> list[PortInterval]:
    """Return both directions between two samples of a port's counters."""
    now, before = sample.interface, last.interface
    assert now is not None
    assert before is not None

    def grown(field_name: str) -> int:
        return _grown(getattr(now, field_name), getattr(before, field_name))

    def damaged(*names: str) -> int:
        if sample.ethernet is None or last.ethernet is None:
            return 0
        pairs = [(getattr(sample.ethernet, n), getattr(last.ethernet, n)) for n in names]
        return sum(_grown(*pair) for pair in pairs)

    # What Ethernet counts by kind is mostly part of the interface's own errors.
    received = max(
        grown("in_errors"),
        damaged("alignment_errors", "fcs_errors", "frames_too_long", "internal_receive_errors"),
        damaged("symbol_errors"),
    )
    sent = max(
        grown("out_errors"),
        damaged("late_collisions", "excessive_collisions", "internal_transmit_errors"),
        damaged("carrier_sense_errors"),
    )
    fell = before.status & _OPERATIONALLY_UP and not now.status & _OPERATIONALLY_UP
    # A port that is switched off is down on purpose.
    notes = ("is down",) if now.status & _STATUS == _SWITCHED_ON else ()
    result = []
    for direction, side, errors in (("up", "in", received), ("down", "out", sent)):
        result.append(
            PortInterval(
                name,
                direction,
                length_ns,
                port.rate_gbps,
                packets=sum(
                    grown(f"{side}_{kind}") for kind in ("unicast", "multicast", "broadcast")
                ),
                bytes=getattr(now, f"{side}_octets") - getattr(before, f"{side}_octets"),
                errors=errors,
                discards=grown(f"{side}_discards"),
                flaps=int(bool(fell)),
                rx_power_dbm=_least_dbm(sample.optical) if side == "in" else None,
                notes=notes,
            )
        )
    return result


def _least_dbm(optical: OpticalCounters | None) -> float | None:
    """Return the least power that a lane receives, -40 dBm for none at all."""
    if optical is None or not optical.rx_power_uw:
        return None
    return 10 * math.log10(max(min(optical.rx_power_uw), 0.1) / 1_000)
