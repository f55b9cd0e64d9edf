"""The truth about a generated capture, as JSON: what happened and what each tap could see.

pcaps/README.md explains every key. Nothing here is measured from the files: the numbers come
from the simulation and from the rows that were written.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fabricscope.collectors.synthetic import tables as t
from fabricscope.collectors.synthetic.background import Static
from fabricscope.collectors.synthetic.plan import Job, Plan
from fabricscope.collectors.synthetic.recipe import (
    MessageFault,
    Mirror,
    PacketFault,
    Recipe,
    SlowLink,
    SlowRank,
    Stall,
)
from fabricscope.collectors.synthetic.tables import Simulation
from fabricscope.collectors.synthetic.taps.recorder import LIST_LIMIT, Recorder
from fabricscope.collectors.synthetic.wire.templates import host_address

SCHEMA = "fabricscope-truth/1"
PLACE_NAMES = {t.NOWHERE: None, t.UPLINK: "uplink", t.FABRIC: "fabric", t.DOWNLINK: "downlink"}
RECOVERY_NAMES = {
    t.RECOVERY_NONE: None,
    t.RECOVERY_NAK: "nak",
    t.RECOVERY_TIMEOUT: "timeout",
    t.RECOVERY_RNR: "rnr",
    t.RECOVERY_LATE: "late",
}
KIND_NAMES = {
    t.DATA: "data",
    t.ACK: "ack",
    t.NAK: "nak",
    t.RNR: "rnr_nak",
    t.CNP: "cnp",
    t.RESPONSE: "response",
    t.BLOB: "pause_or_pfc",
    t.TCP: "tcp",
    t.UDP: "udp",
}
EVENTS_LISTED = 1000
SEEN = tuple(name for name in t.COUNT.names or () if not name.endswith(("_ns", "_base", "highest")))


@dataclass(slots=True)
class Truth:
    """What `generate` made: the files and the content of the truth file."""

    captures: list[Path]
    truth_file: Path
    packets: int
    content: dict[str, Any]


def build_truth(
    recipe: Recipe,
    plan: Plan,
    sim: Simulation,
    static: Static,
    recorders: list[Recorder],
    files: list[Path],
) -> dict[str, Any]:
    """Return the truth as plain JSON values."""
    return {
        "schema": SCHEMA,
        "recipe": recipe.name,
        "seed": recipe.seed,
        "network": recipe.network.model_dump(),
        "encapsulation": list(recipe.encapsulation.kinds),
        "hosts": [host_address(n, recipe.network.ip_version) for n in range(recipe.network.hosts)],
        "taps": [
            _tap(recipe, plan, sim, recorder, file)
            for recorder, file in zip(recorders, files, strict=True)
        ],
        "network_flows": _network_flows(recipe, sim),
        "collectives": [_collective(recipe, sim, job, recorders) for job in plan.jobs],
        "faults": _faults(recipe, sim, recorders),
        "faults_not_listed": int(sim.scalars[t.EVENTS_DROPPED]),
        "pauses": static.pauses,
        "connections": [_connection(recipe, entry) for entry in static.connections],
        "unfinished_transfers": int(((sim.tasks["end_ns"] < 0) & (sim.tasks["flow"] >= 0)).sum()),
    }


def _address(recipe: Recipe, host: int) -> str:
    return host_address(host, recipe.network.ip_version)


def _connection(recipe: Recipe, entry: dict[str, Any]) -> dict[str, Any]:
    ends = {name: _address(recipe, entry[name]) for name in ("src", "dst")}
    return {**entry, **ends}


def _flow_key(recipe: Recipe, sim: Simulation, number: int) -> dict[str, Any]:
    flow = sim.flows[number]
    sport = int(flow.udp_sport) if recipe.network.roce == 2 else 0
    return {
        "src": _address(recipe, int(flow.src)),
        "dst": _address(recipe, int(flow.dst)),
        "dest_qp": int(flow.dest_qp),
        "udp_sport": sport,
        "transport": {t.RC: "rc", t.UC: "uc", t.UD: "ud"}[int(flow.transport)],
    }


def _tap(
    recipe: Recipe, plan: Plan, sim: Simulation, recorder: Recorder, file: Path
) -> dict[str, Any]:
    """Return what one tap saw."""
    recording, tap = recorder.recording, recorder.tap
    pairs = []
    for number in np.flatnonzero(recording.counts["packets"] + recording.counts["mirror_lost"]):
        flow, count = sim.flows[number], recording.counts[number]
        near = tap.place == "ingress" or (
            tap.place == "leaf" and sim.tap_hosts[recorder.number, flow.src] == 1
        )
        before = flow.lost_uplink + (0 if near else flow.lost_fabric)
        after = flow.lost_downlink + (flow.lost_fabric if near else 0)
        entry = _flow_key(recipe, sim, int(number))
        entry |= {name: int(count[name]) for name in SEEN}
        entry |= {
            "lost_before_tap": int(before),
            "lost_after_tap": int(after),
            "timeouts": int(flow.timeouts),
        }
        pairs.append(entry)
    opcodes = recording.opcodes
    return {
        "name": tap.name,
        "file": file.name,
        "place": tap.place,
        "tap_hosts": [_address(recipe, host) for host in tap.hosts],
        "clock_offset_us": tap.offset_us,
        "clock_drift_ppm": tap.drift_ppm,
        "packets": recording.packets,
        "first_ns": recording.first_ns,
        "last_ns": recording.last_ns,
        "capture_lost_packets": recording.mirror_lost,
        "opcodes": {str(code): int(opcodes[code]) for code in np.flatnonzero(opcodes)},
        "kinds": {
            name: int(recording.kinds[kind])
            for kind, name in KIND_NAMES.items()
            if recording.kinds[kind]
        },
        "frames": {name: frames for name, frames in recording.frames.items() if frames},
        "frames_limit": LIST_LIMIT,
        "lost_by_mirror": [
            {
                **{k: v for k, v in lost.items() if k != "flow"},
                **_flow_key(recipe, sim, lost["flow"]),
            }
            for lost in recording.lost_packets
        ],
        "queue_pairs": pairs,
    }


def _network_flows(recipe: Recipe, sim: Simulation) -> list[dict[str, Any]]:
    """Return what happened to each flow, whatever was seen of it."""
    names = ["sent", "resent", "arrived", "discarded", "controls_lost", "timeouts"]
    names += ["lost_uplink", "lost_fabric", "lost_downlink"]
    used = np.flatnonzero(sim.flows["sent"] + sim.flows["posted"])
    return [
        {
            **_flow_key(recipe, sim, int(number)),
            **{name: int(sim.flows[name][number]) for name in names},
            "in_error": bool(sim.flows["dead"][number]),
            "initial_psn": int(sim.flows["initial_psn"][number]),
        }
        for number in used
    ]


def _collective(
    recipe: Recipe, sim: Simulation, job: Job, recorders: list[Recorder]
) -> dict[str, Any]:
    """Return a job's operations, with the true spans and those that each tap saw."""
    start_ns = recipe.capture.start_s * 1_000_000_000
    tasks = sim.tasks[(sim.tasks["span"] >= 0) & (sim.tasks["flow"] >= 0)]
    spans = []
    for span in job.spans:
        own = tasks[tasks["span"] == span]
        done = (own["end_ns"] >= 0).all() and (own["start_ns"] >= 0).all()
        times = [int(own["start_ns"].min()), int(own["end_ns"].max())] if done else None
        spans.append([start_ns + value for value in times] if times else None)
    visible = {}
    for recorder in recorders:
        seen = recorder.recording.spans[job.spans]
        # A tap that saw nothing of an iteration shows null for it.
        clocked = recorder.clock(seen.ravel()).reshape(-1, 2)
        visible[recorder.tap.name] = [
            pair.tolist() if raw[0] >= 0 else None for pair, raw in zip(clocked, seen, strict=True)
        ]
    straggler: dict[str, Any] | None = None
    for fault in recipe.faults:
        if isinstance(fault, SlowRank | SlowLink) and fault.host in job.ranks:
            straggler = {
                "kind": "compute" if isinstance(fault, SlowRank) else "link",
                "rank": job.ranks.index(fault.host),
                "ip": _address(recipe, fault.host),
            }
            if isinstance(fault, SlowRank):
                straggler |= {
                    "late_ms": fault.late_us / 1000,
                    "from_iteration": fault.from_iteration,
                    "every": fault.every,
                }
            else:
                straggler |= {"direction": fault.direction, "rate_gbps": fault.rate_gbps}
    return {
        "operation": job.operation,
        "algorithm": job.algorithm,
        "ranks": [_address(recipe, host) for host in job.ranks],
        "edges": [[_address(recipe, a), _address(recipe, b)] for a, b in job.edges],
        "channels": job.channels,
        "message_bytes": job.message_bytes,
        "iterations": len(job.spans),
        "iteration_spans": visible,
        "true_spans": spans,
        "straggler": straggler,
    }


def _faults(recipe: Recipe, sim: Simulation, recorders: list[Recorder]) -> list[dict[str, Any]]:
    """Return the recipe's faults with what came of each."""
    used = int(sim.scalars[t.EVENTS_USED])
    events = sim.events[1 : used + 1]
    start_ns = recipe.capture.start_s * 1_000_000_000
    entries = []
    for number, fault in enumerate(recipe.faults):
        entry: dict[str, Any] = {"kind": fault.kind, "recipe": fault.model_dump(mode="json")}
        chance = sim.chances[sim.chances["fault"] == number]
        if isinstance(fault, Mirror):
            entry["count_by_tap"] = {
                recorder.tap.name: recorder.fault_hits[number]
                for recorder in recorders
                if number in recorder.fault_hits
            }
        elif fault.kind == "ce":
            entry["count"] = int(chance["hits"].sum())
        elif isinstance(fault, PacketFault | MessageFault | Stall):
            own = np.flatnonzero(events["fault"] == number) if used else np.zeros(0, np.int64)
            entry["count"] = len(own)
            entry["events"] = [
                _event(recipe, sim, int(position) + 1, start_ns, recorders)
                for position in own[:EVENTS_LISTED]
            ]
        entries.append(entry)
    return entries


def _event(
    recipe: Recipe, sim: Simulation, number: int, start_ns: int, recorders: list[Recorder]
) -> dict[str, Any]:
    event = sim.events[number]
    flow = sim.flows[event.flow]
    # Answers and responses carry the numbers of the flow that they answer.
    numbered = event.kind == t.ACK_LOSS or flow.posted == 0
    base = sim.flows[flow.reverse].initial_psn if numbered else flow.initial_psn
    times = {
        name: start_ns + int(event[field]) if event[field] > 0 else None
        for name, field in (("answer_ns", "answer_ns"), ("resent_ns", "resent_ns"))
    }
    return {
        **_flow_key(recipe, sim, int(event.flow)),
        "psn": int((base + event.index) & 0xFFFFFF),
        "where": PLACE_NAMES[int(event.where)],
        "time_ns": start_ns + int(event.time_ns),
        **times,
        "resent_packets": int(event.resent),
        "recovery": RECOVERY_NAMES[int(event.recovery)],
        "taps": {
            recorder.tap.name: recorder.recording.event_frames.get(number, {})
            for recorder in recorders
        },
    }


def dump_truth(content: dict[str, Any]) -> str:
    """Return the truth as JSON with an entry a line, readable and small."""
    parts = []
    for key, value in content.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines = ",\n  ".join(_entry(item) for item in value)
            parts.append(f"{json.dumps(key)}: [\n  {lines}\n ]")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{\n " + ",\n ".join(parts) + "\n}\n"


def _entry(item: dict[str, Any]) -> str:
    """Return one entry; its lists of objects take a line for each object."""
    parts = []
    for key, value in item.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines = ",\n    ".join(json.dumps(entry) for entry in value)
            parts.append(f"{json.dumps(key)}: [\n    {lines}]")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{" + ", ".join(parts) + "}"
