"""Queue pairs on the paths that a user gave them.

A path is had by a hash that leads over it, so that both engines follow it as any other one, and a
failure moves the queue pair as it moves the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.errors import FabricError
from fabricscope.topology.fabric import Fabric
from fabricscope.topology.routing.routes import Routes, RouteState, find_paths

__all__ = ["GivenPath", "pin_given"]

TRIES: Final = 4096
"""Hashes tried for each queue pair: a way over 2 of 512 switches is met with probability 0.999."""


@dataclass(frozen=True, slots=True)
class GivenPath:
    """Queue pairs from `source` to `destination` go over all switches of `via`.

    source, destination: names of endpoints, with * and ?.
    """

    source: str
    destination: str
    via: tuple[str, ...]


def pin_given(
    fabric: Fabric,
    routes: Routes,
    seeds: NDArray[np.uint64],
    paths: Sequence[GivenPath],
    sources: NDArray[np.int32],
    destinations: NDArray[np.int32],
    hashes: NDArray[np.uint64],
    generator: np.random.Generator,
) -> NDArray[np.uint64]:
    """Return `hashes` with those changed of the queue pairs that a given path names.

    The first path that names a queue pair counts. Raises FabricError naming the place in `paths`
    for a path that does not exist, or that no queue pair goes.
    """
    hashes = hashes.copy()
    free = np.ones(len(sources), np.bool_)
    for place, path in enumerate(paths):
        over = [fabric.find_device(name) for name in path.via]
        named = free & _names(fabric, path.source)[sources]
        named &= _names(fabric, path.destination)[destinations]
        if not named.any():
            raise FabricError(
                f"paths.{place}: the workload has no transfer from {path.source} to "
                f"{path.destination} that no path before names; name endpoints that send"
            )
        free &= ~named
        left = _lead(fabric, routes, seeds, over, sources, destinations, hashes, named, generator)
        if len(left):
            ends = (fabric.devices[ends[left[0]]].name for ends in (sources, destinations))
            raise FabricError(
                f"paths.{place}: no shortest path from {' to '.join(ends)} leads over "
                f"{' and '.join(path.via)}; name switches of one path"
            )
    return hashes


def _names(fabric: Fabric, pattern: str) -> NDArray[np.bool_]:
    return np.array([fnmatchcase(device.name, pattern) for device in fabric.devices])


def _lead(
    fabric: Fabric,
    routes: Routes,
    seeds: NDArray[np.uint64],
    over: Sequence[int],
    sources: NDArray[np.int32],
    destinations: NDArray[np.int32],
    hashes: NDArray[np.uint64],
    named: NDArray[np.bool_],
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    """Change `hashes` until the `named` go over all of `over`; return those that never do."""
    state = RouteState.initial(routes)
    target = np.append(fabric.channels.target, -1)
    left = np.flatnonzero(named)
    for _ in range(TRIES):
        met = target[find_paths(routes, state, seeds, sources[left], destinations[left],
                                hashes[left])]  # fmt: skip
        missing = ~np.all([(met == device).any(axis=1) for device in over], axis=0)
        left = left[missing]
        if not len(left):
            break
        hashes[left] = generator.integers(0, 2**64, len(left), np.uint64)
    return left
