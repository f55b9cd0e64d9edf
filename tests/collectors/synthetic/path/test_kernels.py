"""The event heap against the standard library's, and the draws' range and spread."""

import heapq

import numpy as np

from fabricscope.collectors.synthetic import tables as t
from fabricscope.collectors.synthetic.path import kernels


def test_heap_pops_like_heapq_with_ties_in_order_of_arrival() -> None:
    rng = np.random.default_rng(3)
    heap, scalars = np.zeros((4096, 4), np.int64), np.zeros(t.SCALARS, np.int64)
    twin: list[tuple[int, int, int]] = []
    for number in range(6000):
        if twin and (len(twin) > 4000 or rng.random() < 0.45):
            time_ns, _, argument = heapq.heappop(twin)
            assert kernels.pop(heap, scalars) == (time_ns, 1, argument)
        else:
            time_ns = int(rng.integers(0, 50))
            heapq.heappush(twin, (time_ns, number, number))
            kernels.push(heap, scalars, time_ns, 1, number)
    assert scalars[t.HEAP_USED] == len(twin)


def test_draws_are_even_and_depend_on_every_argument() -> None:
    draws = np.array([kernels.uniform(1, number, 0) for number in range(20_000)])
    assert draws.min() >= 0
    assert draws.max() < 1
    counts = np.histogram(draws, 20, (0, 1))[0]
    assert abs(counts - 1000).max() < 160
    assert kernels.uniform(1, 5, 0) != kernels.uniform(2, 5, 0)
    assert kernels.uniform(1, 5, 0) != kernels.uniform(1, 5, 1)
