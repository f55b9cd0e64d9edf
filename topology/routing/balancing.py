"""Load balancing: how queue pairs are given to equal-cost paths.

Both engines take a `Balancing` and ask here for the hashes of queue pairs; how a hash picks a
next hop is in `kernels.choose_channel`, how sprayed packets spread in `spraying`.
"""

import re
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.errors import FabricError
from fabricscope.topology.fabric import Fabric
from fabricscope.topology.quantities import parse_time_ns
from fabricscope.topology.routing import kernels
from fabricscope.topology.routing.pinning import GivenPath, pin_given
from fabricscope.topology.routing.routes import Routes, RouteState, device_seeds
from fabricscope.topology.workloads.transfers import Transfers

__all__ = ["KINDS", "Balancing", "assign_hashes", "pair_ends", "parse_balancing"]

KINDS: Final = ("ecmp", "qp-scaling", "spray", "flowlet", "pinned")

PIN_TRIES: Final = 64
"""Hashes tried for a pinned queue pair; enough to meet each of 32 uplinks with probability 0.87."""


@dataclass(frozen=True, slots=True)
class Balancing:
    """One way to balance load.

    kind: `ecmp` (a hash of the five-tuple picks a path, for good), `qp-scaling` (the same, with
    each message cut over `queue_pairs` queue pairs), `spray` (each packet by itself, all paths in
    equal parts), `flowlet` (a new hash after a pause of flowlet_gap_ns), `pinned` (a controller
    gave each queue pair the path on which it meets the least load; or the one in `paths`).
    polarised: all switches hash alike. seed: of all hashes.
    """

    kind: str = "ecmp"
    queue_pairs: int = 1
    flowlet_gap_ns: float = 50_000.0
    polarised: bool = False
    seed: int = 1
    paths: tuple[GivenPath, ...] = ()

    @property
    def sprays(self) -> bool:
        """Return whether each packet picks its own path."""
        return self.kind == "spray"

    def seeds(self, fabric: Fabric) -> NDArray[np.uint64]:
        """Return the devices' hash seeds."""
        return device_seeds(fabric, self.seed, self.polarised)


def parse_balancing(spec: str) -> Balancing:
    """Return what `KIND[:VALUE][:polarised][:seed=N]` says.

    Such as ecmp, ecmp:polarised, qp-scaling:4, spray, flowlet:50us or pinned.
    Raises FabricError that names the part.
    """
    words = spec.strip().split(":")
    kind = words.pop(0)
    if kind not in KINDS:
        raise FabricError(f"balancing {spec!r}: {kind!r} is none of {', '.join(KINDS)}")
    balancing = Balancing(kind, queue_pairs=4 if kind == "qp-scaling" else 1)
    for word in words:
        if word == "polarised":
            balancing = replace(balancing, polarised=True)
        elif re.fullmatch(r"seed=\d{1,9}", word):
            balancing = replace(balancing, seed=int(word[5:]))
        elif kind == "qp-scaling" and re.fullmatch(r"[1-9]\d?", word):
            balancing = replace(balancing, queue_pairs=int(word))
        elif kind == "flowlet":
            balancing = replace(balancing, flowlet_gap_ns=parse_time_ns(word))
        else:
            raise FabricError(
                f"balancing {spec!r}: {word!r} is not understood; write one such as qp-scaling:4, "
                "flowlet:50us or ecmp:polarised"
            )
    return balancing


def pair_ends(transfers: Transfers) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the source and the destination of each queue pair."""
    pairs = int(transfers.queue_pair.max(initial=-1)) + 1
    if pairs == len(transfers.source) and bool((np.diff(transfers.queue_pair) == 1).all()):
        return transfers.source, transfers.destination
    source = np.zeros(pairs, np.int32)
    destination = np.zeros(pairs, np.int32)
    source[transfers.queue_pair] = transfers.source
    destination[transfers.queue_pair] = transfers.destination
    return source, destination


def assign_hashes(
    fabric: Fabric,
    routes: Routes,
    balancing: Balancing,
    sources: NDArray[np.int32],
    destinations: NDArray[np.int32],
) -> NDArray[np.uint64]:
    """Return the path hash of each queue pair; the same seed gives the same hashes.

    Raises FabricError for a given path that does not exist.
    """
    generator = np.random.default_rng((balancing.seed, 1))
    hashes: NDArray[np.uint64] = generator.integers(0, 2**64, len(sources), np.uint64)
    if balancing.kind != "pinned":
        return hashes
    pinned: NDArray[np.uint64] = kernels.pin_hashes(
        routes,
        RouteState.initial(routes),
        balancing.seeds(fabric),
        sources,
        destinations,
        hashes,
        fabric.channels.rate,
        PIN_TRIES,
    )
    return pin_given(
        fabric, routes, balancing.seeds(fabric), balancing.paths, sources, destinations, pinned,
        generator,
    )  # fmt: skip
