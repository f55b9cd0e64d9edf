"""Joining transfers against a slow twin that groups them by channel and kind."""

import numba
import numpy as np
import pytest

from fabricscope.analyzers.collectives import layout
from fabricscope.analyzers.collectives.compaction.kernels import join_neighbours
from reference.collectives import join_slowly


def make_transfers(seed: int, count: int, channels: int) -> np.ndarray:
    """Return transfers of channels that send one after the other, in order of their ends."""
    rng = np.random.default_rng(seed)
    transfers = np.zeros(count, layout.TRANSFER_DTYPE)
    transfers["channel"] = rng.integers(0, channels, count)
    transfers["kind"] = rng.integers(0, 4, count)
    transfers["bytes"] = rng.integers(1, 9_000, count)
    transfers["packets"] = rng.integers(1, 9, count)
    transfers["psn"] = rng.integers(0, 1 << 24, count)
    transfers["passed_ns"] = rng.integers(0, 1 << 24, count)
    clock = np.zeros((channels, 4), np.int64)
    for transfer in transfers:
        start = clock[transfer["channel"], transfer["kind"]] + rng.integers(0, 20_000)
        transfer["start_ns"], transfer["end_ns"] = start, start + rng.integers(0, 500)
        clock[transfer["channel"], transfer["kind"]] = transfer["end_ns"]
    return transfers[np.argsort(transfers["end_ns"], kind="stable")]


@pytest.mark.parametrize("pause_ns", [-1, 0, 1_000, 10_000, 10**9])
@pytest.mark.parametrize("seed", range(4))
def test_joining_is_that_of_the_twin(seed: int, pause_ns: int) -> None:
    transfers = make_transfers(seed, 600, 5)
    names = layout.TRANSFER_DTYPE.names
    expected = join_slowly(
        [dict(zip(names, row, strict=True)) for row in transfers.tolist()], pause_ns
    )
    table = transfers.view(np.recarray) if numba.config.DISABLE_JIT else transfers
    kept = join_neighbours(table, np.empty(20, np.int32), pause_ns)
    found = [dict(zip(names, row, strict=True)) for row in transfers[:kept].tolist()]
    assert (np.diff(transfers["end_ns"][:kept]) >= 0).all()
    assert sorted(found, key=lambda row: tuple(row.values())) == expected


def test_nothing_is_joined_to_nothing() -> None:
    assert join_neighbours(np.zeros(0, layout.TRANSFER_DTYPE), np.empty(4, np.int32), 5) == 0
