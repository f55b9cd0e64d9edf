"""The scenarios that every simulator runs: a fabric, packets and flows; and the file they share.

Nothing here knows a simulator. Hosts are numbered leaf by leaf.
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

RATE_GBPS: Final = 100
HOP_NS: Final = 1_000
PACKET_BYTES: Final = 4_096  # on the wire, headers included, as in the figures recorded for htsim
ACK_BYTES: Final = 64
ACK_EVERY: Final = 4
WINDOW_BYTES: Final = 4 << 20
MESSAGE_BYTES: Final = 2_000_000
NONE: Final = -1

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Flows:
    """Flows in the order in which a pair of hosts sends them, columns of equal length.

    spine: over which a flow between leaves goes, NONE inside a leaf and as long as no paths were
    drawn. predecessor: the flow that
    must have arrived before this one starts, NONE for those that start at once.
    """

    source: Ints
    destination: Ints
    size_bytes: Ints
    spine: Ints
    predecessor: Ints


@dataclass(frozen=True)
class Scenario:
    """A leaf-spine fabric of equal links and the flows on it."""

    name: str
    text: str
    leaves: int
    spines: int
    hosts_per_leaf: int
    flows: Flows

    @property
    def hosts(self) -> int:
        """Return the number of hosts."""
        return self.leaves * self.hosts_per_leaf

    @property
    def data_packets(self) -> int:
        """Return how many packets carry the flows' bytes."""
        return int((-(-self.flows.size_bytes // PACKET_BYTES)).sum())


def list_scenarios() -> tuple[Scenario, ...]:
    """Return all scenarios, those for packets first, small ones first."""
    return (
        _make("one flow", "2 MB between hosts of two leaves", (2, 1, 1), [0], [1]),
        _make(
            "incast",
            "8 hosts send 2 MB each to one host of another leaf at the same time",
            (2, 8, 8),
            np.arange(8),
            np.full(8, 8),
        ),
        make_permutation(),
        make_rings("S2", 16, 32, 8 << 20),
        make_all_to_all(256, 256),
        make_all_to_all(128, 16),
        make_rings("ring", 1, 512, 512 << 20),
    )


def make_permutation() -> Scenario:
    """Return S1: each of 512 hosts sends 2 MB to another one, and receives 2 MB."""
    hosts = 512
    order = np.random.default_rng(1).permutation(hosts)
    text = "512 hosts send 2 MB each, every host to another one (a random cycle)"
    return _make("S1", text, (32, 16, 16), order, np.roll(order, -1))


def make_rings(name: str, jobs: int, ranks: int, message_bytes: int) -> Scenario:
    """Return ring AllReduces at the same time, all on 512 hosts in random order.

    Each has 2 (ranks - 1) steps; a rank passes a part on when it has received it.
    """
    members = np.random.default_rng(2).permutation(512)[: jobs * ranks].reshape(jobs, 1, ranks)
    steps = 2 * (ranks - 1)
    shape = (jobs, steps, ranks)
    number = np.arange(jobs * steps * ranks).reshape(shape)
    waits_for = np.full(shape, NONE)
    waits_for[:, 1:] = np.roll(number[:, :-1], 1, axis=2)  # what the rank before it has just sent
    text = (
        f"{jobs} ring AllReduce{'s' * (jobs > 1)} of {ranks} ranks on random hosts of 512, "
        f"{message_bytes >> 20} MiB each: {steps} steps"
    )
    return _make(
        name,
        text,
        (32, 16, 16),
        np.broadcast_to(members, shape).ravel(),
        np.broadcast_to(np.roll(members, -1, axis=2), shape).ravel(),
        message_bytes // ranks,
        waits_for.ravel(),
    )


def make_all_to_all(hosts: int, hosts_per_leaf: int) -> Scenario:
    """Return an all-to-all in which every host sends 64 KiB to every other one, all at once."""
    source = np.repeat(np.arange(hosts), hosts - 1)
    destination = (source + np.tile(np.arange(1, hosts), hosts)) % hosts
    leaves = hosts // hosts_per_leaf
    name = "all-to-all, one switch" if leaves == 1 else "all-to-all, hashed"
    text = f"{hosts} hosts send 64 KiB to each other host at the same time"
    shape = (leaves, 1 if leaves == 1 else 16, hosts_per_leaf)
    return _make(name, text, shape, source, destination, 64 << 10)


def take_share(scenario: Scenario, divisor: int) -> Scenario:
    """Return the scenario with flows of a `divisor`-th of the bytes, for programs that are slow."""
    size_bytes = np.maximum(1, scenario.flows.size_bytes // divisor)
    return replace(scenario, flows=replace(scenario.flows, size_bytes=size_bytes))


def write_scenario(scenario: Scenario, path: Path) -> None:
    """Write the file that scenario.hpp describes and reads."""
    flows = scenario.flows
    columns = [getattr(flows, field.name) for field in fields(Flows)]
    shape = f"{scenario.leaves} {scenario.spines} {scenario.hosts_per_leaf}"
    head = (
        f"fabric {shape} {RATE_GBPS} {HOP_NS}",
        f"packet {PACKET_BYTES} {PACKET_BYTES} {ACK_BYTES} {ACK_EVERY} {WINDOW_BYTES}",
        f"flows {len(flows.source)}",
    )
    rows = (" ".join(map(str, row)) for row in np.column_stack(columns).tolist())
    path.write_text("\n".join((*head, *rows)) + "\n", encoding="utf-8")


def read_scenario(path: Path) -> Scenario:
    """Return the scenario of a file that `write_scenario` wrote."""
    with path.open(encoding="utf-8") as file:
        leaves, spines, hosts_per_leaf = map(int, file.readline().split()[1:4])
        file.readline()
        count = int(file.readline().split()[1])
        numbers = np.fromstring(file.read(), np.int64, sep=" ")
    columns = np.ascontiguousarray(numbers.reshape(count, len(fields(Flows))).T)
    return Scenario(path.stem, "", leaves, spines, hosts_per_leaf, Flows(*columns))


def _make(
    name: str,
    text: str,
    shape: tuple[int, int, int],
    source: ArrayLike,
    destination: ArrayLike,
    size_bytes: int = MESSAGE_BYTES,
    predecessor: ArrayLike = NONE,
) -> Scenario:
    source, destination, sizes, spine, waits_for = (
        np.array(column, np.int64)
        for column in np.broadcast_arrays(source, destination, size_bytes, NONE, predecessor)
    )
    return Scenario(name, text, *shape, Flows(source, destination, sizes, spine, waits_for))
