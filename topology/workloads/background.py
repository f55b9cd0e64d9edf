"""Background load: messages of other users of the fabric, at random times between random ranks."""

from typing import Final

import numpy as np

from fabricscope.errors import FabricError
from fabricscope.topology.workloads.graph import MAX_TRANSFERS, Piece, need, pairs, piece_of

__all__ = ["make_background"]

BITS_PER_BYTE: Final = 8


def make_background(
    ranks: int,
    size_bytes: int,
    load: float,
    duration_ns: float,
    rate_gbps: float,
    rng: np.random.Generator,
) -> Piece:
    """Return messages that begin as a Poisson process, each between two ranks drawn at random.

    load: share of a rank's `rate_gbps` that they fill on average. duration_ns: the last one begins
    before. Messages of one pair of ranks share a connection. Raises FabricError without load or
    duration, and for more messages than fit.
    """
    need(ranks, 2)
    if not 0 < load <= 1 or not duration_ns > 0:
        raise FabricError(
            "background needs a load above 0 and a duration; write one such as "
            "background:64KiB:load=30%:duration=10ms"
        )
    expected = ranks * load * rate_gbps / BITS_PER_BYTE * duration_ns / size_bytes
    if expected > MAX_TRANSFERS:
        raise FabricError(
            f"background of {expected:,.0f} messages is more than the {MAX_TRANSFERS:,} that fit; "
            "take larger ones or a shorter duration"
        )
    count = max(1, int(rng.poisson(expected)))
    source = rng.integers(0, ranks, count)
    destination = (source + rng.integers(1, ranks, count)) % ranks
    number = np.arange(count)
    connection = np.unique(source * ranks + destination, return_inverse=True)[1]
    piece = piece_of(
        ranks, source, destination, np.full(count, size_bytes), connection,
        np.zeros(count, np.int64), np.empty((0, 2), np.int64), pairs(source, number),
        pairs(destination, number),
    )  # fmt: skip
    return piece._replace(delay_ns=np.sort(rng.uniform(0, duration_ns, count)))
