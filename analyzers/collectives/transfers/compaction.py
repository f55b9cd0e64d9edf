"""Fewer, longer transfers in their place: what keeps the list of transfers bounded."""

import numpy as np
from numpy.typing import NDArray


def join_neighbours(transfers: NDArray[np.void], pause_ns: int) -> NDArray[np.void]:
    """Join transfers of a channel and kind that follow within `pause_ns`; bytes are kept.

    transfers: TRANSFER_DTYPE (n,). Returns TRANSFER_DTYPE (m <= n,) in order of their ends.
    """
    order = np.lexsort((transfers["start_ns"], transfers["kind"], transfers["channel"]))
    rows = transfers[order]
    same = (rows["channel"][1:] == rows["channel"][:-1]) & (rows["kind"][1:] == rows["kind"][:-1])
    near = rows["start_ns"][1:] - rows["end_ns"][:-1] <= pause_ns
    heads = np.concatenate(([True], ~(same & near)))
    first = np.flatnonzero(heads)
    joined = rows[first].copy()
    joined["end_ns"] = np.maximum.reduceat(rows["end_ns"], first)
    joined["bytes"] = np.add.reduceat(rows["bytes"], first)
    joined["packets"] = np.add.reduceat(rows["packets"], first)
    return joined[np.argsort(joined["end_ns"], kind="stable")]
