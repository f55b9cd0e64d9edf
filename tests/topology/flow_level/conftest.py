"""Fabrics, workloads and cuts for tests of the flow-level engine."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from fabricscope.topology.fabric import Fabric
from fabricscope.topology.failures import ChannelEvent, Failure
from fabricscope.topology.recovery.plan import ALL_GROUPS, Moments, Plan, RouteChange
from fabricscope.topology.routing.routes import Routes

Cut = Callable[..., tuple[Sequence[Failure], Sequence[Plan]]]


@pytest.fixture(scope="session")
def cut() -> Cut:
    """Return what cuts leaf-spine links at `time_ns`; routes follow after two more times."""

    def make(
        fabric: Fabric,
        routes: Routes,
        leaf: str,
        spine: str,
        time_ns: float,
        local_ns: float | None,
        remote_ns: float | None,
    ) -> tuple[Sequence[Failure], Sequence[Plan]]:
        link = fabric.find_link(f"{leaf}-{spine}")
        numbers = fabric.find_device(leaf), fabric.find_device(spine)
        channels = fabric.channels
        up = 2 * link + int(channels.source[2 * link] != numbers[0])
        events = tuple(ChannelEvent(time_ns, channel, 0.0) for channel in (up, up ^ 1))
        changes = []
        if local_ns is not None:
            moment = time_ns + local_ns
            for device, channel in zip(numbers, (up, up ^ 1), strict=True):
                changes.append(
                    RouteChange(moment, device, channel, ALL_GROUPS, False, "local", Moments())
                )
        if remote_ns is not None:
            hosts = [
                host
                for host in fabric.endpoints.tolist()
                if channels.target[routes.uplinks[routes.uplink_start[host]]] == numbers[0]
            ]
            group = int(routes.group[hosts[0]])
            for channel in np.flatnonzero(channels.target == numbers[1]).tolist():
                device = int(channels.source[channel])
                if device != numbers[0]:
                    changes.append(
                        RouteChange(
                            time_ns + remote_ns, device, channel, group, False, "remote", Moments()
                        )
                    )
        changes.sort(key=lambda change: change.time_ns)
        return (Failure("cut", "link", time_ns, events, ()),), (Plan(tuple(changes)),)

    return make
