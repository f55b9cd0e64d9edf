"""Sightings kept from the first pass over each capture, the same packets at every tap. Bounded.

A packet is kept when its signature is below a threshold; the threshold sinks as room runs out,
so what is left is still the same choice at every tap.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.taps.identity.kernels import packet_signatures
from fabricscope.analyzers.taps.layout import KIND_PAYLOAD_CUT, MAX_TAPS, PAYLOAD_BYTES
from fabricscope.records import Packets

SAMPLES: Final = 1 << 19
"""Sightings kept over all taps; 48 bytes each."""
_CUT_SHARE: Final = 0.01
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
_SHIFT: Final = np.uint64(32)


class Signatures(NamedTuple):
    """Columns that `packet_signatures` fills."""

    keys: NDArray[np.uint64]
    variants: NDArray[np.uint32]
    kinds: NDArray[np.uint8]
    flows: NDArray[np.uint64]


def signatures(view: NDArray[np.uint8], packets: Packets, payload_bytes: int) -> Signatures:
    """Return the signature columns of a batch."""
    rows = packets.time_ns.size
    columns = Signatures(
        np.empty(rows, np.uint64),
        np.empty(rows, np.uint32),
        np.empty(rows, np.uint8),
        np.empty(rows, np.uint64),
    )
    packet_signatures(view, packets, payload_bytes, *columns)
    return columns


class Sightings(NamedTuple):
    """Packets kept at one tap, one row each."""

    short: NDArray[np.uint64]  # signature without payload bytes: decides what is kept
    full: NDArray[np.uint64]  # signature with payload bytes
    time_ns: NDArray[np.int64]  # by the tap's own clock
    hosts: NDArray[np.uint64]  # hash of the two addresses, equal for both directions
    forward: NDArray[np.bool_]  # which of the two directions
    ttl: NDArray[np.int64]

    def choose(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> "Sightings":
        """Return copies of the chosen rows."""
        return Sightings._make(column[rows] for column in self)


def _mixed(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.uint64]:
    value = (high * _MULTIPLIER) ^ low
    value = (value ^ (value >> _SHIFT)) * _MULTIPLIER
    return value ^ (value >> _SHIFT)


def _signature(columns: Signatures) -> NDArray[np.uint64]:
    return _mixed(columns.keys, columns.variants.astype(np.uint64))


class SightingSample:
    """Collects sightings until `limit` over all taps, then thins all taps alike."""

    def __init__(self, limit: int = SAMPLES) -> None:
        """Keep at most `limit` sightings."""
        self._limit = limit
        self._threshold = (1 << 64) - 1
        self._parts: dict[int, list[Sightings]] = {}
        self._kept = 0
        self._cut_rows = np.zeros(MAX_TAPS, np.int64)
        self._rows = np.zeros(MAX_TAPS, np.int64)

    def add(self, view: NDArray[np.uint8], packets: Packets, taps: NDArray[np.uint16]) -> None:
        """Keep the rows of a batch whose signature is below the threshold; copies them."""
        with_payload = signatures(view, packets, PAYLOAD_BYTES)
        without = signatures(view, packets, 0)
        short = _signature(without)
        chosen = np.flatnonzero((without.keys != 0) & (short <= np.uint64(self._threshold)))
        cut = (with_payload.kinds & KIND_PAYLOAD_CUT) != 0
        self._cut_rows += np.bincount(taps[cut], minlength=MAX_TAPS)
        self._rows += np.bincount(taps, minlength=MAX_TAPS)
        source = _mixed(packets.src_hi[chosen], packets.src_lo[chosen])
        destination = _mixed(packets.dst_hi[chosen], packets.dst_lo[chosen])
        kept = Sightings(
            short[chosen],
            _signature(with_payload)[chosen],
            packets.time_ns[chosen],
            source + destination,
            source < destination,
            packets.ttl[chosen].astype(np.int64),
        )
        kept_taps = taps[chosen]
        for tap in np.unique(kept_taps).tolist():
            mine = kept_taps == tap
            self._parts.setdefault(tap, []).append(kept.choose(mine))
        self._kept += chosen.size
        while self._kept > self._limit:
            self._thin()

    def _thin(self) -> None:
        self._threshold >>= 1
        self._kept = 0
        for tap, parts in self._parts.items():
            whole = _joined(parts)
            below = whole.short <= np.uint64(self._threshold)
            self._parts[tap] = [whole.choose(below)]
            self._kept += int(below.sum())

    @property
    def payload_bytes(self) -> int:
        """Return how many payload bytes every tap captured: all that are wanted, or none."""
        share = self._cut_rows / np.maximum(self._rows, 1)
        return 0 if (share > _CUT_SHARE).any() else PAYLOAD_BYTES

    def unique(self, tap: int) -> tuple[NDArray[np.uint64], Sightings]:
        """Return (signatures in ascending order, their sightings) of packets seen once at `tap`.

        A packet seen twice says nothing about clocks: which sighting elsewhere is it?
        """
        whole = _joined(self._parts.get(tap, []))
        signature = whole.full if self.payload_bytes else whole.short
        values, first, counts = np.unique(signature, return_index=True, return_counts=True)
        once = counts == 1
        return values[once], whole.choose(first[once])


def _joined(parts: list[Sightings]) -> Sightings:
    if not parts:
        return Sightings(
            np.empty(0, np.uint64),
            np.empty(0, np.uint64),
            np.empty(0, np.int64),
            np.empty(0, np.uint64),
            np.empty(0, np.bool_),
            np.empty(0, np.int64),
        )
    return Sightings._make(np.concatenate(columns) for columns in zip(*parts, strict=True))
