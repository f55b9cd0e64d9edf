"""Runs a scenario on one of Fabricscope's engines, as a process of its own.

    ours.py SCENARIO packets|packets-pfc|packets-bare|flows

Prints the line of figures that the peers' programs print.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from model import ECMP, build_fabric, build_workload
from scenarios import (
    ACK_BYTES,
    ACK_EVERY,
    NONE,
    PACKET_BYTES,
    WINDOW_BYTES,
    Flows,
    Scenario,
    read_scenario,
)

from fabricscope.compiled import forget_outdated, load_without_compiler
from fabricscope.topology.fabric import Fabric
from fabricscope.topology.outcome import Outcome
from fabricscope.topology.routing.routes import Routes, build_routes
from fabricscope.topology.workloads.transfers import Transfers

if TYPE_CHECKING:
    from fabricscope.topology.packet_level.parameters import Nic

ENDLESS_BYTES: Final = 1 << 40


def main() -> int:
    """Run a scenario, after one so small that it only loads the kernels."""
    forget_outdated()
    load_without_compiler()
    scenario = read_scenario(Path(sys.argv[1]))
    engines = {
        "packets": run_packets,
        "packets-pfc": run_packets_pfc,
        "packets-bare": run_packets_bare,
        "flows": run_flows,
    }
    run = engines[sys.argv[2]]
    one = np.zeros(1, np.int64)
    hosts = scenario.hosts
    tiny = Flows(one, one + hosts - 1, one + PACKET_BYTES, one, one + NONE)
    measure(replace(scenario, flows=tiny), run)
    print(json.dumps(measure(scenario, run)))
    return 0


Engine = Callable[[Fabric, Routes, Transfers], Outcome]


def measure(scenario: Scenario, engine: Engine) -> dict[str, float]:
    """Run a scenario; the fabric, its routes and the transfers are made before the clock starts."""
    fabric = build_fabric(scenario)
    routes = build_routes(fabric)
    workload = build_workload(scenario.flows)
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    outcome = engine(fabric, routes, workload)
    return {
        "run_s": time.perf_counter() - wall_s,
        "run_cpu_s": time.process_time() - cpu_s,
        "events": outcome.events,
        "data_packets": outcome.data_packets,
        "flows": int(np.count_nonzero(np.isfinite(outcome.finish_ns))),
        "makespan_ns": outcome.makespan_ns,
        "acknowledged_ns": float(np.max(getattr(outcome, "acknowledged_ns", np.zeros(1)))),
        "peak_bytes": _read_peak_bytes(),
    }


def _read_peak_bytes() -> int:
    """Return this process's peak; what the system tells its parent includes the parent's own."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def run_packets(fabric: Fabric, routes: Routes, workload: Transfers) -> Outcome:
    """Run the packet-level engine with PFC, ECN and DCQCN as it has them."""
    from fabricscope.topology.packet_level import engine

    return engine.run_packets(fabric, routes, ECMP, workload, nic=_describe_nic())


def run_packets_pfc(fabric: Fabric, routes: Routes, workload: Transfers) -> Outcome:
    """Run the packet-level engine as htsim's RoCE: PFC, but nothing is marked."""
    from fabricscope.topology.packet_level import engine, parameters

    nic = replace(_describe_nic(), dcqcn=None)
    switch = parameters.SwitchModel(ecn=False)
    return engine.run_packets(fabric, routes, ECMP, workload, nic=nic, switch=switch)


def run_packets_bare(fabric: Fabric, routes: Routes, workload: Transfers) -> Outcome:
    """Run the packet-level engine as ns-3: nothing is paused, marked or dropped."""
    from fabricscope.topology.packet_level import engine, parameters

    nic = replace(_describe_nic(), dcqcn=None)
    switch = parameters.SwitchModel(
        buffer_bytes=ENDLESS_BYTES, lossless=False, drop_alpha=1e9, ecn=False
    )
    return engine.run_packets(fabric, routes, ECMP, workload, nic=nic, switch=switch)


def _describe_nic() -> "Nic":
    from fabricscope.topology.packet_level.parameters import Nic

    return Nic(
        mtu_bytes=PACKET_BYTES,
        header_bytes=0,
        first_header_bytes=0,
        ack_bytes=ACK_BYTES,
        window_bytes=WINDOW_BYTES,
        ack_every=ACK_EVERY,
    )


def run_flows(fabric: Fabric, routes: Routes, workload: Transfers) -> Outcome:
    """Run the flow-level engine."""
    from fabricscope.topology.flow_level import engine

    options = engine.FlowOptions(
        packet_bytes=PACKET_BYTES, header_bytes=0, window_bytes=WINDOW_BYTES
    )
    return engine.run_flows(fabric, routes, ECMP, workload, options=options)


if __name__ == "__main__":
    sys.exit(main())
