"""Memory layout of link counters: what the kernel adds to and a second's sample is read from."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

BINS: Final = 100
"""Bins of a second: 10 ms each, in which micro-bursts show."""

BIN_NS: Final = 10_000_000
UP: Final = 0
DOWN: Final = 1

COUNT_DTYPE: Final = np.dtype(
    [
        ("packets", "i8"),
        ("bytes", "i8"),  # on the wire
        ("rdma_packets", "i8"),
        ("ecn_capable", "i8"),
        ("ecn_marked", "i8"),
        ("cnps", "i8"),  # carried in this direction: they slow what the host sends (down)
    ],
    align=True,
)


class LinkState(NamedTuple):
    """Counters of a host's access link since the last sample; owned by `LinkCounter`.

    hosts: (links, 2) u8 address halves; table: hash table of link + 1; flow_hosts: (2 * flows)
    link + 1 of the sender of each flow's side; counts: (links, 2) COUNT_DTYPE, up and down; bins:
    (links, 2, BINS) bytes; cursor: [links used, start of the second ns, packets of no link, packets
    with an end for which there was no room, since the start].
    """

    hosts: NDArray[np.uint64]
    table: NDArray[np.int32]
    flow_hosts: NDArray[np.int32]
    counts: NDArray[np.void]
    bins: NDArray[np.int64]
    cursor: NDArray[np.int64]
