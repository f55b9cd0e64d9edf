"""The 4-ary heap gives keys back in the order of a sorted list, each with its item."""

import random

import numpy as np
import pytest

from fabricscope.topology.flow_level.heaps.kernels import sift_down, sift_up


@pytest.mark.parametrize("seed", range(5))
def test_the_least_key_is_always_first(seed: int) -> None:
    chance = random.Random(seed)
    keys, items = np.zeros(200), np.zeros(200, np.int64)
    waiting: list[tuple[float, int]] = []
    for step in range(3_000):
        if waiting and (len(waiting) == len(keys) or chance.random() < 0.5):
            least = min(waiting)[0]
            assert keys[0] == least
            waiting.remove((float(keys[0]), int(items[0])))
            size = len(waiting)
            if size:
                sift_down(keys, items, size, keys[size], items[size])
        else:
            key = float(chance.choice([0.0, 1.0, chance.random()]))
            sift_up(keys, items, len(waiting), key, step)
            waiting.append((key, step))
