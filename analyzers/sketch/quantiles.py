"""Percentiles out of the logarithmic buckets that the kernels fill."""

import numpy as np
from numpy.typing import NDArray


def bucket_edges(buckets: int) -> NDArray[np.float64]:
    """Return the `buckets` + 1 edges of the buckets, in the unit of the values."""
    small = np.arange(0, 16, 2, dtype=np.float64)
    octaves = 2.0 ** np.arange(4, 4 + (buckets - 8) // 8 + 1)
    steps = (octaves[:, None] * (1 + np.arange(8) / 8)).ravel()
    return np.concatenate([small, steps])[: buckets + 1]


def percentile(
    counts: NDArray[np.uint32] | NDArray[np.int64], fraction: float
) -> NDArray[np.float64]:
    """Return the value below which `fraction` of the counts lie, linear inside a bucket.

    counts: (..., buckets); result: (...), NaN where nothing was counted.
    """
    edges = bucket_edges(counts.shape[-1])
    cumulative = np.cumsum(counts, axis=-1, dtype=np.float64)
    total = cumulative[..., -1]
    rank = np.maximum(fraction * total, 0.5)
    position = (cumulative < rank[..., None]).sum(axis=-1)
    position = np.minimum(position, counts.shape[-1] - 1)
    inside = np.take_along_axis(counts, position[..., None], axis=-1)[..., 0].astype(np.float64)
    before = np.take_along_axis(cumulative, position[..., None], axis=-1)[..., 0] - inside
    share = np.divide(rank - before, inside, out=np.zeros_like(rank), where=inside > 0)
    value = edges[position] + share * (edges[position + 1] - edges[position])
    return np.where(total > 0, value, np.nan)
