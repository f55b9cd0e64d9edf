"""sFlow datagrams made by hand, field by field."""

import struct


def record(form: int, body: bytes) -> bytes:
    return struct.pack(">II", form, len(body)) + body + bytes(-len(body) % 4)


def datagram(
    samples: list[bytes], *, sequence: int = 1, uptime_ms: int = 1_000, agent: bytes = b"\x0a\0\0\1"
) -> bytes:
    kind = 1 if len(agent) == 4 else 2
    head = struct.pack(">II", 5, kind) + agent
    return head + struct.pack(">4I", 0, sequence, uptime_ms, len(samples)) + b"".join(samples)


def raw_header(frame: bytes, wire_bytes: int | None = None, protocol: int = 1) -> bytes:
    """Return a header record; `wire_bytes` without the FCS, which the record includes."""
    length = (len(frame) if wire_bytes is None else wire_bytes) + 4
    return record(1, struct.pack(">4I", protocol, length, 4, len(frame)) + frame)


def flow_sample(
    records: list[bytes],
    *,
    rate: int = 100,
    source: int = 3,
    input_port: int = 3,
    output_port: int = 4,
    expanded: bool = False,
) -> bytes:
    if expanded:
        fields = (1, 0, source, rate, 0, 0, 0, input_port, 0, output_port, len(records))
        return record(3, struct.pack(">11I", *fields) + b"".join(records))
    fields8 = (1, source, rate, 0, 0, input_port, output_port, len(records))
    return record(1, struct.pack(">8I", *fields8) + b"".join(records))


def generic(
    index: int = 3,
    *,
    status: int = 3,
    speed_bps: int = 10**9,
    in_octets: int = 0,
    in_unicast: int = 0,
    in_discards: int = 0,
    in_errors: int = 0,
    out_octets: int = 0,
    out_unicast: int = 0,
    out_errors: int = 0,
    unknown: int = 0,
) -> bytes:
    fields = (
        index, 6, speed_bps, 1, status,
        in_octets, in_unicast, unknown, unknown, in_discards, in_errors, 0,
        out_octets, out_unicast, unknown, unknown, 0, out_errors, 0,
    )  # fmt: skip
    return record(1, struct.pack(">IIQIIQ6IQ6I", *fields))


def dot3(*, fcs: int = 0, symbol: int = 0) -> bytes:
    return record(2, struct.pack(">13I", 0, fcs, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, symbol))


def optics(rx_power_uw: list[int]) -> bytes:
    lanes = b"".join(
        struct.pack(">10I", lane, 7, 500, 0, 0, 1310, power, 0, 0, 1310)
        for lane, power in enumerate(rx_power_uw, 1)
    )
    head = struct.pack(">IIIiI", 3, len(rx_power_uw), 3_300, 41_500, len(rx_power_uw))
    return record(10, head + lanes)


def counter_sample(records: list[bytes], *, sequence: int = 1, expanded: bool = False) -> bytes:
    fields = (sequence, 0, 3, len(records)) if expanded else (sequence, 3, len(records))
    head = struct.pack(f">{len(fields)}I", *fields)
    return record(4 if expanded else 2, head + b"".join(records))
