"""ERF, Endace's record format, as a file of its own (inside pcap and pcapng the kernels unwrap it).

Source: Endace ERF types reference; types of record in `unwrap_erf`.
"""

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.capture import layout
from fabricscope.collectors.capture.erf.kernels import walk_erf
from fabricscope.collectors.capture.walker import Walker
from fabricscope.records import Packets


class ErfWalker(Walker):
    """Reads one ERF file; its one tap is named after the file."""

    def __init__(self, name: str, first_tap: int) -> None:
        """Take the name of the file."""
        super().__init__(first_tap)
        self.taps.append(name)
        self.layout[layout.TAP] = first_tap

    def run_kernel(self, view: NDArray[np.uint8], packets: Packets) -> None:
        """Append rows from `state[POSITION]` on."""
        walk_erf(view, *packets[:7], self.layout, self.state)

    def find_record(self, view: NDArray[np.uint8], start: int, scan_stop: int, stop: int) -> int:
        """Return -1: nothing in an ERF header is telling enough to find the next one by."""
        return -1
