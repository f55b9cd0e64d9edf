"""Classic pcap: the file header, and what follows from it for every record.

Source: draft-ietf-opsawg-pcap; the variants of the magic number are listed in `formats`.
"""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.capture import layout
from fabricscope.collectors.capture.formats import IXIA_MAGICS, PCAP_MAGICS
from fabricscope.collectors.capture.pcap.kernels import find_pcap, walk_pcap
from fabricscope.collectors.capture.walker import (
    DEFAULT_RECORD_LIMIT,
    LARGEST_RECORD_LIMIT,
    Walker,
)
from fabricscope.records import Packets

FILE_HEADER_BYTES: Final = 24
LINK_TYPE_MASK: Final = 0xFFFF  # the upper bits tell the length of the frame check sequence
RAW_IP_TYPES: Final = (12, 14)  # what BSDs wrote for LINKTYPE_RAW


def canonical_link_type(link_type: int) -> int:
    """Return the LINKTYPE_* for a number that may be a system's own DLT_*."""
    link_type &= LINK_TYPE_MASK
    return layout.LINK_RAW_IP if link_type in RAW_IP_TYPES else link_type


class PcapWalker(Walker):
    """Reads one pcap file; its one tap is named after the file."""

    def __init__(self, header: bytes, name: str, first_tap: int) -> None:
        """Take the file header, whose magic was recognised, and the name of the file."""
        super().__init__(first_tap)
        big_endian, fraction_ns, record_header_bytes = PCAP_MAGICS[header[:4]]
        order: Literal["big", "little"] = "big" if big_endian else "little"
        snap_length = int.from_bytes(header[16:20], order)
        self.taps.append(name)
        self._big_endian = True if big_endian else None
        self.layout[layout.FRACTION_NS] = fraction_ns
        self.layout[layout.HEADER_BYTES] = record_header_bytes
        self.layout[layout.RECORD_LIMIT] = min(
            max(snap_length, DEFAULT_RECORD_LIMIT), LARGEST_RECORD_LIMIT
        )
        self.layout[layout.LINK_TYPE] = canonical_link_type(int.from_bytes(header[20:24], order))
        self.layout[layout.TAP] = first_tap

    @staticmethod
    def header_bytes(head: bytes) -> int:
        """Return the size of the file header that starts with `head`."""
        return FILE_HEADER_BYTES + (4 if head[:4] in IXIA_MAGICS else 0)

    def run_kernel(self, view: NDArray[np.uint8], packets: Packets) -> None:
        """Append rows from `state[POSITION]` on."""
        walk_pcap(view, *packets[:7], self.layout, self._big_endian, self.state)

    def find_record(self, view: NDArray[np.uint8], start: int, scan_stop: int, stop: int) -> int:
        """Return the offset of the next believable record in [start, scan_stop), or -1."""
        last_second = int(self.state[layout.LAST_TIME]) // layout.SECOND_NS
        return int(
            find_pcap(view, start, scan_stop, stop, self.layout, self._big_endian, last_second)
        )
