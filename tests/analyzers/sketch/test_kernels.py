"""The sketch: its bucket rule, and percentiles against NumPy's."""

import numpy as np
import pytest

from fabricscope.analyzers.sketch.kernels import bucket_of
from fabricscope.analyzers.sketch.quantiles import bucket_edges, percentile

BUCKETS = 288


def bucket_by_edges(value: int) -> int:
    """Slow twin of the bucket rule: the last bucket whose lower edge is not above the value."""
    edges = bucket_edges(BUCKETS)
    return int(min(np.flatnonzero(edges <= max(value, 0))[-1], BUCKETS - 1))


def test_buckets_lie_between_their_edges() -> None:
    powers = [2**n + d for n in range(1, 45) for d in (-1, 0, 1)]
    rng = np.random.default_rng(1)
    values = [*range(300), *powers, -5, 2**62, *(2 ** rng.uniform(4, 38, 300)).astype(int).tolist()]
    for value in values:
        assert bucket_of(value, BUCKETS) == bucket_by_edges(value), value


def test_edges_grow_by_an_eighth_at_most() -> None:
    edges = bucket_edges(BUCKETS)
    assert edges.size == BUCKETS + 1
    width = np.diff(edges)
    assert (width > 0).all()
    assert (width[8:] <= edges[8:-1] / 8).all()


def sketch_of(values: np.ndarray) -> np.ndarray:
    counts = np.zeros(BUCKETS, np.uint32)
    for value in values.tolist():
        counts[bucket_of(value, BUCKETS)] += 1
    return counts


@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("shape", ["even", "long tail", "two humps", "one value"])
def test_percentiles_are_within_a_bucket(shape: str, fraction: float) -> None:
    rng = np.random.default_rng(7)
    values = {
        "even": rng.integers(16, 100_000, 5000),
        "long tail": (16 + rng.lognormal(8, 2, 5000)).astype(np.int64),
        "two humps": np.concatenate([rng.integers(90, 110, 4000), rng.integers(9e6, 9.1e6, 1000)]),
        "one value": np.full(100, 4096),
    }[shape]
    found = float(percentile(sketch_of(values), fraction))
    # The value with that rank; between two values NumPy may interpolate, the sketch need not.
    low = np.percentile(values, fraction * 100, method="lower")
    high = np.percentile(values, fraction * 100, method="higher")
    assert low * (1 - 0.125) <= found <= high * (1 + 0.125)


def test_the_middle_of_many_values_is_within_a_sixteenth() -> None:
    rng = np.random.default_rng(3)
    for scale in (100, 10_000, 10**9):
        values = rng.integers(scale, 4 * scale, 20_000)
        found = float(percentile(sketch_of(values), 0.5))
        assert found == pytest.approx(np.median(values), rel=0.0625)


def test_many_sketches_at_once_and_empty_ones() -> None:
    counts = np.stack([sketch_of(np.full(10, 100)), np.zeros(BUCKETS, np.uint32)])
    found = percentile(counts, 0.5)
    assert found[0] == pytest.approx(100, rel=0.125)
    assert np.isnan(found[1])
