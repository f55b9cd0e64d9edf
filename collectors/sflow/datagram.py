"""sFlow version 5 datagrams from bytes: flow samples with packet headers, and counter samples.

Layouts: sflow_version_5.txt and sflow_optics.txt at sflow.org. No sockets and no state here.
"""

import ipaddress
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

__all__ = [
    "CounterSample",
    "Datagram",
    "EthernetCounters",
    "FlowSample",
    "InterfaceCounters",
    "OpticalCounters",
    "parse",
]

_VERSION: Final = 5
_ADDRESS_BYTES: Final = {1: 4, 2: 16}
_FLOW, _COUNTERS, _EXPANDED_FLOW, _EXPANDED_COUNTERS = 1, 2, 3, 4
_RAW_HEADER, _ETHERNET_FRAME, _IPV4_DATA, _IPV6_DATA = 1, 2, 3, 4
_INTERFACE, _ETHERNET, _OPTICAL = 1, 2, 10
_INTERNAL_PORT: Final = 0x3FFF_FFFF
_SINGLE_PORT: Final = 0
_FCS_BYTES: Final = 4
_ETHERNET_BYTES: Final = 14
_LANE: Final = struct.Struct(">10I")
_GENERIC: Final = struct.Struct(">IIQIIQ6IQ6I")
_DOT3: Final = struct.Struct(">13I")


@dataclass(frozen=True, slots=True)
class FlowSample:
    """One sampled packet. Ports are ifIndexes, None for the switch itself, several or a discard.

    source: ifIndex of the port that samples. frame_bytes: the packet's length without its FCS.
    protocol: of the header, 1 Ethernet, 11 IPv4, 12 IPv6; header is empty if none was sent.
    """

    sequence: int
    source: int
    sampling_rate: int
    pool: int
    drops: int
    input: int | None
    output: int | None
    frame_bytes: int
    protocol: int = 0
    header: bytes = b""


@dataclass(frozen=True, slots=True)
class InterfaceCounters:
    """The generic counters of a port (RFC 2233); names as there. All ones: not counted."""

    index: int
    kind: int
    speed_bps: int
    direction: int
    status: int  # bit 0: administratively up, bit 1: operationally up
    in_octets: int
    in_unicast: int
    in_multicast: int
    in_broadcast: int
    in_discards: int
    in_errors: int
    in_unknown_protocols: int
    out_octets: int
    out_unicast: int
    out_multicast: int
    out_broadcast: int
    out_discards: int
    out_errors: int
    promiscuous: int


@dataclass(frozen=True, slots=True)
class EthernetCounters:
    """The dot3Stats counters of a port (RFC 2358)."""

    alignment_errors: int
    fcs_errors: int
    single_collisions: int
    multiple_collisions: int
    sqe_test_errors: int
    deferred: int
    late_collisions: int
    excessive_collisions: int
    internal_transmit_errors: int
    carrier_sense_errors: int
    frames_too_long: int
    internal_receive_errors: int
    symbol_errors: int


@dataclass(frozen=True, slots=True)
class OpticalCounters:
    """A pluggable module: temperature, and the power of each lane in microwatts."""

    module: int
    temperature_c: float
    rx_power_uw: tuple[int, ...]
    tx_power_uw: tuple[int, ...]


@dataclass(slots=True)
class CounterSample:
    """Counters of one port; what an agent does not send is None."""

    sequence: int
    source: int
    interface: InterfaceCounters | None = None
    ethernet: EthernetCounters | None = None
    optical: OpticalCounters | None = None


@dataclass(slots=True)
class Datagram:
    """What an agent sent. malformed: samples and records that could not be read."""

    agent: str
    sub_agent: int
    sequence: int
    uptime_ms: int
    flow_samples: list[FlowSample] = field(default_factory=list)
    counter_samples: list[CounterSample] = field(default_factory=list)
    malformed: int = 0


def parse(data: bytes) -> Datagram | None:
    """Return what a datagram says, None if it is no sFlow version 5.

    Samples of other kinds are passed over; one that contradicts its length is counted.
    """
    try:
        version, kind = struct.unpack_from(">II", data)
        size = _ADDRESS_BYTES[kind] if version == _VERSION else -1
        if size < 0 or len(data) < 8 + size:
            return None
        agent = str(ipaddress.ip_address(data[8 : 8 + size]))
        sub_agent, sequence, uptime_ms, count = struct.unpack_from(">4I", data, 8 + size)
    except (struct.error, KeyError):
        return None
    result = Datagram(agent, sub_agent, sequence, uptime_ms)
    whole = 0
    for form, body in _records(data, 24 + size, count):
        whole += 1
        try:
            if form in (_FLOW, _EXPANDED_FLOW):
                _flow_sample(result, body, form == _EXPANDED_FLOW)
            elif form in (_COUNTERS, _EXPANDED_COUNTERS):
                _counter_sample(result, body, form == _EXPANDED_COUNTERS)
        except struct.error:
            result.malformed += 1
    # Those that the datagram announced and has no room for count as one.
    result.malformed += whole < count
    return result


def _records(data: bytes, at: int, count: int) -> Iterator[tuple[int, bytes]]:
    """Yield (format, body) of up to `count` records, as long as they are whole."""
    for _ in range(count):
        if at + 8 > len(data):
            return
        form, length = struct.unpack_from(">II", data, at)
        at += 8
        if at + length > len(data):
            return
        yield form, data[at : at + length]
        at += (length + 3) // 4 * 4


def _port(form: int, value: int) -> int | None:
    return value if form == _SINGLE_PORT and 0 < value != _INTERNAL_PORT else None


def _flow_sample(result: Datagram, body: bytes, expanded: bool) -> None:
    if expanded:
        (sequence, _, source, rate, pool, drops, in_form, in_port, out_form, out_port, count) = (
            struct.unpack_from(">11I", body)
        )
        at = 44
    else:
        sequence, source, rate, pool, drops, in_port, out_port, count = struct.unpack_from(
            ">8I", body
        )
        source &= 0xFF_FFFF
        in_form, in_port = in_port >> 30, in_port & 0x3FFF_FFFF
        out_form, out_port = out_port >> 30, out_port & 0x3FFF_FFFF
        at = 32
    frame_bytes, protocol, header = 0, 0, b""
    whole = 0
    for form, record in _records(body, at, count):
        whole += 1
        try:
            if form == _RAW_HEADER:
                protocol, length, stripped, size = struct.unpack_from(">4I", record)
                if 16 + size > len(record):
                    raise struct.error
                # Of what an agent took off, only the FCS is not part of the packet.
                frame_bytes = max(length - min(stripped, _FCS_BYTES), 0)
                header = record[16 : 16 + size]
            elif form == _ETHERNET_FRAME and not header:
                frame_bytes = max(struct.unpack_from(">I", record)[0] - _FCS_BYTES, 0)
            elif form in (_IPV4_DATA, _IPV6_DATA) and not frame_bytes:
                frame_bytes = struct.unpack_from(">I", record)[0] + _ETHERNET_BYTES
        except struct.error:
            result.malformed += 1
    result.malformed += whole < count
    result.flow_samples.append(
        FlowSample(
            sequence,
            source,
            rate,
            pool,
            drops,
            _port(in_form, in_port),
            _port(out_form, out_port),
            frame_bytes,
            protocol,
            header,
        )
    )


def _counter_sample(result: Datagram, body: bytes, expanded: bool) -> None:
    if expanded:
        sequence, _, source, count = struct.unpack_from(">4I", body)
        at = 16
    else:
        sequence, source, count = struct.unpack_from(">3I", body)
        source &= 0xFF_FFFF
        at = 12
    sample = CounterSample(sequence, source)
    whole = 0
    for form, record in _records(body, at, count):
        whole += 1
        try:
            if form == _INTERFACE:
                sample.interface = InterfaceCounters(*_GENERIC.unpack_from(record))
            elif form == _ETHERNET:
                sample.ethernet = EthernetCounters(*_DOT3.unpack_from(record))
            elif form == _OPTICAL:
                sample.optical = _optical(record)
        except struct.error:
            result.malformed += 1
    result.malformed += whole < count
    result.counter_samples.append(sample)


def _optical(record: bytes) -> OpticalCounters:
    module, _, _, temperature, count = struct.unpack_from(">IIIiI", record)
    if 20 + count * _LANE.size > len(record):
        raise struct.error
    lanes = [_LANE.unpack_from(record, 20 + place * _LANE.size) for place in range(count)]
    return OpticalCounters(
        module,
        temperature / 1_000,
        tuple(lane[6] for lane in lanes),
        tuple(lane[2] for lane in lanes),
    )
