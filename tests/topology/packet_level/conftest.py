"""Small fabrics and workloads for the packet engine's tests."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from fabricscope.topology.fabric import Device, Fabric, Link
from fabricscope.topology.workloads.transfers import Transfers


def make_leaf_spine(
    leaves: int, spines: int, hosts: int, rate_gbps: float = 100.0, length_m: float = 200.0
) -> Fabric:
    """Return a leaf-spine fabric with 1 us of propagation a hop unless said otherwise."""
    devices = [Device(f"leaf{n}", "leaf", 1) for n in range(leaves)]
    devices += [Device(f"spine{n}", "spine", 2) for n in range(spines)]
    links = [
        Link(leaf, leaves + spine, rate_gbps, length_m)
        for leaf in range(leaves)
        for spine in range(spines)
    ]
    for leaf in range(leaves):
        for host in range(hosts):
            links.append(Link(len(devices), leaf, rate_gbps, length_m))
            devices.append(Device(f"host{leaf}.{host}", "host", 0))
    return Fabric("small", tuple(devices), tuple(links))


def make_transfers(
    source: Sequence[int],
    destination: Sequence[int],
    size_bytes: int | Sequence[int],
    queue_pair: Sequence[int] | None = None,
    after: Sequence[tuple[int, int]] = (),
    delay_ns: float | Sequence[float] = 0.0,
) -> Transfers:
    """Return transfers; `after` holds (transfer, one that waits for it)."""
    count = len(source)
    waits = np.zeros(count, np.int32)
    followers: list[list[int]] = [[] for _ in range(count)]
    for first, second in after:
        waits[second] += 1
        followers[first].append(second)
    pairs = np.arange(count) if queue_pair is None else queue_pair
    return Transfers(
        np.array(source, np.int32),
        np.array(destination, np.int32),
        np.broadcast_to(np.array(size_bytes, np.int64), count).copy(),
        np.array(pairs, np.int32),
        waits,
        np.cumsum([0, *map(len, followers)]).astype(np.int64),
        np.array([one for row in followers for one in row], np.int32),
        np.broadcast_to(np.array(delay_ns, np.float64), count).copy(),
        np.zeros(count, np.int16),
        np.zeros(count, np.int32),
        np.zeros(count, np.int32),
        np.zeros(count, np.int16),
    )


@pytest.fixture(name="leaf_spine", scope="session")
def _leaf_spine() -> Callable[..., Fabric]:
    return make_leaf_spine


@pytest.fixture(name="transfers", scope="session")
def _transfers() -> Callable[..., Transfers]:
    return make_transfers
