"""A scenario in Fabricscope's terms: its fabric, its workload, and the paths of its flows."""

from dataclasses import replace
from typing import Final

import numpy as np
from scenarios import HOP_NS, NONE, RATE_GBPS, Flows, Scenario

from fabricscope.topology.fabric import NANOSECONDS_PER_METRE, Device, Fabric, Link
from fabricscope.topology.routing.balancing import Balancing, assign_hashes, pair_ends
from fabricscope.topology.routing.routes import RouteState, build_routes, find_paths
from fabricscope.topology.workloads.transfers import Transfers

ECMP: Final = Balancing(seed=1)


def build_fabric(scenario: Scenario) -> Fabric:
    """Return the scenario's fabric: hosts, leaves, spines, and links in that order."""
    leaves, spines, hosts = scenario.leaves, scenario.spines, scenario.hosts
    devices = [Device(f"host{n}", "host", 0) for n in range(hosts)]
    devices += [Device(f"leaf{n}", "leaf", 1) for n in range(leaves)]
    devices += [Device(f"spine{n}", "spine", 2) for n in range(spines)]
    metres = HOP_NS / NANOSECONDS_PER_METRE
    ends = [(n, hosts + n // scenario.hosts_per_leaf) for n in range(hosts)]
    ends += [(hosts + n, hosts + leaves + m) for n in range(leaves) for m in range(spines)]
    links = tuple(Link(a, b, RATE_GBPS, metres) for a, b in ends)
    return Fabric(scenario.name, tuple(devices), links)


def build_workload(flows: Flows) -> Transfers:
    """Return the flows as transfers; those of a pair of hosts share a queue pair."""
    count = len(flows.source)
    pairs = np.column_stack((flows.source, flows.destination))
    queue_pair = np.unique(pairs, axis=0, return_inverse=True)[1].reshape(count)
    waiting = np.flatnonzero(flows.predecessor != NONE)
    order = waiting[np.argsort(flows.predecessor[waiting], kind="stable")]
    starts = np.searchsorted(flows.predecessor[order], np.arange(count + 1))
    return Transfers(
        source=flows.source.astype(np.int32),
        destination=flows.destination.astype(np.int32),
        size_bytes=flows.size_bytes,
        queue_pair=queue_pair.astype(np.int32),
        waits=(flows.predecessor != NONE).astype(np.int32),
        successor_start=starts.astype(np.int64),
        successors=order.astype(np.int32),
        delay_ns=np.zeros(count),
        job=np.zeros(count, np.int16),
        iteration=np.zeros(count, np.int32),
        phase=np.zeros(count, np.int32),
        operation=np.zeros(count, np.int16),
    )


def draw_paths(scenario: Scenario) -> Scenario:
    """Return the scenario with each flow on the spine that Fabricscope's hash gives it."""
    fabric = build_fabric(scenario)
    routes = build_routes(fabric)
    workload = build_workload(scenario.flows)
    ends = pair_ends(workload)
    hashes = assign_hashes(fabric, routes, ECMP, *ends)
    state = RouteState.initial(routes)
    paths = find_paths(routes, state, ECMP.seeds(fabric), *ends, hashes)
    first_spine = scenario.hosts + scenario.leaves
    over = routes.target[paths[:, 1]].astype(np.int64) - first_spine  # the second hop's end
    spine = np.where(over >= 0, over, NONE)[workload.queue_pair]
    return replace(scenario, flows=replace(scenario.flows, spine=spine))
