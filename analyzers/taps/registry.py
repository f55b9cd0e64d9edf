"""Which tap a row comes from: its source, and within it the ERSPAN session. Bounded."""

import ipaddress
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.taps.identity.kernels import resolve_taps
from fabricscope.analyzers.taps.layout import MAX_TAPS
from fabricscope.records import Packets

_SOURCE_BITS = 0xFFFF
_ERSPAN_PRESENT = 1 << 16
_SESSION_SHIFT = 17
_SESSION_BITS = 0x7FFF
_ADDRESS_SHIFT = np.uint64(32)  # the upper half of a key tells mirroring switches apart


class TapRegistry:
    """Dense indexes of taps in order of appearance, and their names.

    `source_names` is indexed by the `tap` column and read late: it may grow while files are read.
    """

    def __init__(self, source_names: Sequence[str]) -> None:
        """Know no tap yet."""
        self._source_names = source_names
        self._keys = np.zeros(MAX_TAPS, np.uint64)
        self._mirror_addresses: list[str] = []
        self.count = 0
        self.overflow_rows = 0

    def resolve(self, view: NDArray[np.uint8], packets: Packets) -> NDArray[np.uint16]:
        """Return the tap index of each row, registering new taps.

        The last index is shared by all taps that come after MAX_TAPS - 1 others; their rows are
        counted in `overflow_rows`.
        """
        rows = packets.time_ns.size
        taps = np.zeros(rows, np.uint16)
        row = resolve_taps(view, packets, 0, self._keys, self.count, taps)
        while row < rows:
            if self.count < MAX_TAPS - 1:
                self._keys[self.count] = self._keys[-1]
                self._mirror_addresses.append(_mirror_address(view, packets, row))
                self.count += 1
            else:
                taps[row] = MAX_TAPS - 1
                self.overflow_rows += 1
                row += 1
            row = resolve_taps(view, packets, row, self._keys, self.count, taps)
        return taps

    @property
    def indexes(self) -> list[int]:
        """Return the indexes in use, the shared last one included when it is."""
        return [*range(self.count), *([MAX_TAPS - 1] if self.overflow_rows else [])]

    def name(self, index: int) -> str:
        """Return the tap's name, with the mirroring switch's address where a session needs it."""
        if index >= self.count:
            return "other taps"
        key = int(self._keys[index])
        source = key & _SOURCE_BITS
        known = source < len(self._source_names)
        name = self._source_names[source] if known else f"tap {source}"
        if not key & _ERSPAN_PRESENT:
            return name
        name = f"{name} ERSPAN session {(key >> _SESSION_SHIFT) & _SESSION_BITS}"
        alike = np.count_nonzero(
            (self._keys[: self.count] ^ self._keys[index]) << _ADDRESS_SHIFT == 0
        )
        return f"{name} from {self._mirror_addresses[index]}" if alike > 1 else name


def _mirror_address(view: NDArray[np.uint8], packets: Packets, row: int) -> str:
    """Return the text of the outermost IP source address, or `unknown`."""
    offset = int(packets.outer_ip_offset[row])
    start = int(packets.packet_offset[row])
    header = bytes(view[start + offset : start + int(packets.captured_length[row])][:40])
    if offset and len(header) >= 20 and header[0] >> 4 == 4:
        return str(ipaddress.IPv4Address(header[12:16]))
    if offset and len(header) >= 40 and header[0] >> 4 == 6:
        return str(ipaddress.IPv6Address(header[8:24]))
    return "unknown"
