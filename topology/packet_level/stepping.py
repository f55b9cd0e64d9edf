"""A packet-level run step by step, for those that look at it in between."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fabricscope.topology.fabric import Fabric
from fabricscope.topology.failures import Failure
from fabricscope.topology.packet_level import engine, layout
from fabricscope.topology.packet_level.network import build_network
from fabricscope.topology.packet_level.parameters import Nic, PacketOptions, SwitchModel
from fabricscope.topology.recovery.plan import Plan
from fabricscope.topology.routing.balancing import Balancing
from fabricscope.topology.routing.routes import Routes
from fabricscope.topology.workloads.transfers import Transfers

__all__ = ["PacketRun"]


class PacketRun:
    """A run that can be let on until a moment, and asked what is left."""

    def __init__(
        self,
        fabric: Fabric,
        routes: Routes,
        balancing: Balancing,
        workload: Transfers,
        failures: Sequence[Failure],
        plan: Plan,
        nic: Nic,
        switch: SwitchModel,
        seed: int,
        windows_ns: tuple[float, float],
        taps: Sequence[int] = (),
    ) -> None:
        """Lay everything out at time 0."""
        self.workload = workload
        self.nic = nic
        self.windows_ns = windows_ns
        self.options = PacketOptions(windows_ns=windows_ns)
        self.network = build_network(
            fabric, routes, balancing, workload, failures, plan, nic, switch, taps, seed,
            self.options, windows_ns,
        )  # fmt: skip

    def advance(self, until_ns: float) -> None:
        """Let everything happen up to `until_ns`; inf runs to the end."""
        limit = None if until_ns == np.inf else until_ns
        self.options = replace(self.options, until_ns=limit)
        self.network = engine.run_network(self.network, self.options)

    def advance_some(self, events: int) -> None:
        """Let about so many events happen, however much time they take."""
        self.options = replace(self.options, until_ns=None)
        self.network = engine.run_network(self.network, self.options, events)

    @property
    def now_ns(self) -> float:
        """Return the time of the last event."""
        return float(self.network.clock[0]["now"]) / 1000

    @property
    def events(self) -> int:
        """Return how many events there were."""
        return int(self.network.clock[0]["events"])

    @property
    def ended(self) -> bool:
        """Return whether every transfer has arrived."""
        return int(self.network.clock[0]["unfinished"]) == 0

    def acknowledged(self) -> NDArray[np.int64]:
        """Return (queue pairs) the first packet number that is not acknowledged."""
        return self.network.queue_pairs["oldest_psn"].copy()

    def sent(self) -> NDArray[np.int64]:
        """Return (queue pairs) the first packet number that was never sent."""
        return self.network.queue_pairs["highest_psn"].copy()

    def hit(self) -> NDArray[np.bool_]:
        """Return (queue pairs) whether a pair lost packets and has not failed."""
        pairs = self.network.queue_pairs
        hit: NDArray[np.bool_] = (pairs["lost"] > 0) & (pairs["state"] != layout.QP_FAILED)
        return hit

    def left_bytes(self, flight_ns: float) -> NDArray[np.int64]:
        """Return (transfers) payload that is neither delivered nor on its way.

        Of what has been sent, so much counts as on its way as a NIC sends in `flight_ns`; the rest
        waits in queues, and its bottleneck has still to carry it.
        """
        transfers, pairs = self.network.transfers, self.network.queue_pairs
        on_wires = pairs["line_rate"] * flight_ns * 1000 / self.nic.mtu_bytes
        flying = np.minimum(pairs["next_psn"] - pairs["expected_psn"], on_wires.astype(np.int64))
        reached = (pairs["expected_psn"] + np.maximum(flying, 0))[transfers["qp"]]
        gone = np.clip(reached - transfers["first_psn"], 0, transfers["packets"])
        left = transfers["size"] - gone * self.nic.mtu_bytes
        return np.asarray(np.maximum(left, 0), np.int64)

    def failed(self) -> NDArray[np.bool_]:
        """Return (queue pairs) whether a pair has used up its retries."""
        failed: NDArray[np.bool_] = self.network.queue_pairs["state"] == layout.QP_FAILED
        return failed

    def outcome(self) -> engine.PacketOutcome:
        """Return what happened up to now."""
        return engine.collect_outcome(self.network, self.workload, self.windows_ns, self.options)
