"""Signatures compiled into the arrays that the kernels match.

Only layout is decided here: which column of which array holds what. The arrays are declared in
`tables`; the meaning of a condition is in `checks`, its evaluation in `kernels`.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.dpi.checks import KINDS, Check, Pattern, Position
from fabricscope.analyzers.dpi.signatures import TRANSPORTS, Signature
from fabricscope.analyzers.dpi.tables import (
    CompiledSignatures,
    ConditionTables,
    SignatureTables,
)
from fabricscope.records import PROTOCOLS

CHECK_KINDS: Final = (
    "bytes", "find", "number", "length", "difference", "printable", "question", "size"
)  # fmt: skip
SIDES: Final = ("", "reply", "previous")


class _Builder:
    """Collects rows for the tables."""

    def __init__(self) -> None:
        self.checks: list[list[int]] = []
        self.ranges: list[tuple[int, int]] = []
        self.alternatives: list[tuple[int, int, int]] = []
        self.pattern_bytes = bytearray()
        self.pattern_masks = bytearray()

    def add_checks(self, checks: tuple[Check, ...]) -> tuple[int, int]:
        start = len(self.checks)
        for check in checks:
            self.checks.append(self._check_row(check))
        return start, len(self.checks)

    def _check_row(self, check: Check) -> list[int]:
        range_start = len(self.ranges)
        self.ranges.extend(check.ranges)
        alternative_start = len(self.alternatives)
        for pattern in check.patterns:
            self.alternatives.append(
                (len(self.pattern_bytes), len(pattern.value), int(pattern.fold))
            )
            self.pattern_bytes += pattern.value
            self.pattern_masks += pattern.mask
        return [
            CHECK_KINDS.index(check.what),
            int(check.optional),
            *_position(check.position),
            KINDS.index(check.kind),
            check.mask,
            check.scale,
            check.bias,
            range_start,
            len(self.ranges),
            alternative_start,
            len(self.alternatives),
            check.window,
            SIDES.index(check.other_side),
            *_position(check.other),
            KINDS.index(check.other_kind),
        ]


def compile_signatures(signatures: list[Signature]) -> CompiledSignatures:
    """Return the tables of all signatures."""
    builder = _Builder()
    rules: list[list[int]] = []
    buckets: list[list[tuple[float, int]]] = [[] for _ in range(len(TRANSPORTS) * 256)]
    for application, signature in enumerate(signatures, 1):
        for match in signature.matches:
            payload = builder.add_checks(match.payload)
            reply = builder.add_checks(match.reply)
            agreed = 1 - (1 - match.confidence) / 4
            possible = first_bytes(match.payload)
            for transport in match.transports:
                rules.append([
                    application, *payload, *reply, int(match.require_reply),
                    int(match.port_required), round(match.confidence * 1000),
                    round(agreed * 1000), TRANSPORTS.index(transport),
                    *_prefix(match.payload), *_lengths(match.payload),
                ])  # fmt: skip
                for byte in possible:
                    bucket = buckets[TRANSPORTS.index(transport) * 256 + byte]
                    bucket.append((-match.confidence, len(rules) - 1))
    starts = np.cumsum([0] + [len(bucket) for bucket in buckets]).astype(np.int32)
    ordered = [rule for bucket in buckets for _, rule in sorted(bucket)]
    tables = SignatureTables(
        conditions=ConditionTables(
            checks=_matrix(builder.checks, 21),
            ranges=_matrix(builder.ranges, 2),
            alternatives=_matrix(builder.alternatives, 3),
            pattern_bytes=np.array(list(builder.pattern_bytes) or [0], np.uint8),
            pattern_masks=np.array(list(builder.pattern_masks) or [0], np.uint8),
        ),
        rules=_matrix(rules, 14),
        bucket_start=starts,
        bucket_rules=np.array(ordered, np.int32),
        **_named_tables(signatures),
    )
    return CompiledSignatures(tuple(signature.name for signature in signatures), tables)


def _matrix(rows: list[list[int]] | list[tuple[int, int]] | list[tuple[int, int, int]],
            columns: int) -> NDArray[np.int64]:  # fmt: skip
    return np.array(rows, np.int64).reshape(-1, columns)


def _named_tables(signatures: list[Signature]) -> dict[str, NDArray[Any]]:
    port_start = [0]
    port_list: list[int] = []
    port_application = np.zeros((2, 65_536), np.uint16)
    decoded = np.zeros(len(PROTOCOLS), np.uint16)
    ip_application = np.zeros(256, np.uint16)
    ethertype = np.zeros(65_536, np.uint16)
    for application, signature in enumerate(signatures, 1):
        for transport, ports in enumerate((signature.tcp_ports, signature.udp_ports)):
            port_list.extend(ports)
            port_start.append(len(port_list))
            for port in ports:
                # The first protocol that claims a port keeps it: the guess must be stable.
                port_application[transport, port] = port_application[transport, port] or application
        for number in signature.ip_protocols:
            ip_application[number] = application
        for number in signature.ethertypes:
            ethertype[number] = application
        for name in signature.decoded:
            decoded[PROTOCOLS.index(name)] = application
    return {
        "port_start": np.array(port_start, np.int32),
        "port_list": np.array(port_list, np.int32),
        "port_application": port_application,
        "decoded_application": decoded,
        "ip_application": ip_application,
        "ethertype_application": ethertype,
        "collect": np.array([0] + [s.collect for s in signatures], np.uint8),
        "watch": np.array([0] + [s.watch for s in signatures], np.uint8),
        "gives_way": np.array([0] + [s.gives_way for s in signatures], np.uint8),
    }


def _prefix(checks: tuple[Check, ...]) -> tuple[int, int]:
    """Return mask and value that the first 8 bytes must have for all `checks` to hold."""
    mask, value = bytearray(8), bytearray(8)
    for check in checks:
        offset = check.position.offset
        fixed = check.position.kind == "none" and offset >= 0 and not check.optional
        if check.what != "bytes" or not fixed:
            continue
        for index in range(min(len(pattern.value) for pattern in check.patterns)):
            if offset + index >= 8:
                break
            common = 0xFF
            first = check.patterns[0].value[index]
            for pattern in check.patterns:
                # A folded letter may have bit 0x20 or not.
                common &= pattern.mask[index] & (0xDF if pattern.fold else 0xFF)
                common &= ~(pattern.value[index] ^ first)
            mask[offset + index] |= common
            value[offset + index] |= first & common
    return int.from_bytes(mask, "big", signed=True), int.from_bytes(value, "big", signed=True)


def _lengths(checks: tuple[Check, ...]) -> tuple[int, int]:
    """Return the least and the greatest payload length that `checks` allow."""
    low, high = 0, (1 << 62)
    for check in checks:
        if check.what == "size" and check.scale == 0 and not check.optional:
            low = max(low, min(first for first, _ in check.ranges))
            high = min(high, max(last for _, last in check.ranges))
    return low, high


def _position(position: Position) -> list[int]:
    return [position.offset, KINDS.index(position.kind), position.base, position.scale]


def first_bytes(checks: tuple[Check, ...]) -> list[int]:
    """Return the values that the first payload byte can have where all `checks` hold."""
    possible = set(range(256))
    for check in checks:
        fixed = check.position.kind == "none" and check.position.offset == 0
        if not fixed or check.optional:
            continue
        if check.what == "bytes":
            possible &= {
                byte
                for byte in range(256)
                if any(_first_byte_fits(pattern, byte) for pattern in check.patterns)
            }
        elif check.what == "number":
            possible &= {byte for byte in range(256) if _first_byte_in_ranges(check, byte)}
    return sorted(possible)


def _first_byte_fits(pattern: Pattern, byte: int) -> bool:
    if pattern.fold and 0x41 <= byte <= 0x5A:
        byte |= 0x20
    return byte & pattern.mask[0] == pattern.value[0] & pattern.mask[0]


def _first_byte_in_ranges(check: Check, byte: int) -> bool:
    widths = {"u8": 0, "u16be": 8, "u24be": 16, "u32be": 24}
    if check.kind == "u8":
        return any(low <= byte & check.mask <= high for low, high in check.ranges)
    if check.kind not in widths or check.mask != -1:
        return True
    low_value = byte << widths[check.kind]
    high_value = low_value | (1 << widths[check.kind]) - 1
    return any(low <= high_value and high >= low_value for low, high in check.ranges)
