"""Rows that are not simulated: connection set-up, pause frames, TCP and UDP beside the RDMA.

They are known before the run and take no part in it (a pause's effect on its host aside, which
the simulation handles); the taps merge them by time.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fabricscope.collectors.synthetic import tables as t
from fabricscope.collectors.synthetic.plan import Plan
from fabricscope.collectors.synthetic.recipe import (
    Background,
    Bulk,
    Collective,
    ConnectionFault,
    Pause,
    Recipe,
)
from fabricscope.collectors.synthetic.tables import Table
from fabricscope.collectors.synthetic.wire.templates import (
    Template,
    background_template,
    gid_bytes,
    pause_template,
)

# CM attribute identifiers (InfiniBand architecture, communication management).
CM_REQ, CM_REJ, CM_REP, CM_RTU, CM_DREQ, CM_DREP = 0x10, 0x12, 0x13, 0x14, 0x15, 0x16
MAD_BYTES = 256
IP_SERVICE = 0x0000_0000_0106_0000
"""Service IDs of RDMA over IP: this prefix for TCP, then the port."""
CM_SPACING_NS = 50_000


@dataclass(slots=True)
class Static:
    """Known rows with the host at whose port each is seen, and what they need to be written."""

    rows: Table
    ports: np.ndarray[tuple[int], np.dtype[np.int64]]
    peers: np.ndarray[tuple[int], np.dtype[np.int64]]
    templates: list[Template]
    payloads: list[bytes]
    connections: list[dict[str, Any]]
    pauses: list[dict[str, Any]]


@dataclass(slots=True)
class _Builder:
    """Collects rows while the recipe is read."""

    recipe: Recipe
    plan: Plan
    first_template: int
    latency_ns: int
    rows: list[dict[str, int]] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)
    templates: list[Template] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    connections: list[dict[str, Any]] = field(default_factory=list)
    pauses: list[dict[str, Any]] = field(default_factory=list)

    def add(self, src: int, dst: int, row: dict[str, int]) -> None:
        self.rows.append({"task": -1, **row})
        self.places.append((src, dst))

    def template(self, template: Template) -> int:
        self.templates.append(template)
        return self.first_template + len(self.templates) - 1


def connection_manager_flows(recipe: Recipe, plan: Plan) -> dict[tuple[int, int], int]:
    """Add the queue pair 1 flows that connection exchanges need; they carry no tasks."""
    pairs = set()
    for fault in recipe.faults:
        if isinstance(fault, ConnectionFault):
            pairs.add((fault.src, fault.dst))
    asking = {
        number
        for number, workload in enumerate(recipe.workloads)
        if isinstance(workload, Collective | Bulk) and workload.connect
    }
    if asking:
        pairs |= {(flow.src, flow.dst) for flow in plan.flows[::2]}
    numbers: dict[tuple[int, int], int] = {}
    for src, dst in sorted(pairs):
        if (src, dst) in numbers:
            continue
        number = plan.connect(src, dst, -1, transport=t.UD)
        plan.flows[number].dest_qp = plan.flows[number + 1].dest_qp = 1
        numbers[src, dst], numbers[dst, src] = number, number + 1
    return numbers


def _mad(attribute: int, transaction: int, content: list[tuple[int, int, int]]) -> bytes:
    """Return a CM MAD; `content` is (offset in the message, value, bytes)."""
    header = bytes([1, 7, 2, 3]) + bytes(4) + transaction.to_bytes(8, "big")
    header += attribute.to_bytes(2, "big") + bytes(6)
    message = bytearray(MAD_BYTES - len(header))
    for offset, value, size in content:
        message[offset : offset + size] = value.to_bytes(size, "big")
    return header + bytes(message)


def _exchange(
    builder: _Builder,
    numbers: tuple[int, int],
    queue_pairs: tuple[int, int],
    initial_psns: tuple[int, int],
    start_ns: int,
    steps: tuple[int, ...],
    reason: int = 0,
) -> None:
    """Add the MADs of one connection: `numbers` are the QP 1 flows there and back."""
    count = len(builder.connections) + 1
    local, remote = 0x10000 + count, 0x20000 + count
    ids = [(0, local, 4), (4, remote, 4)]
    back = [(0, remote, 4), (4, local, 4)]
    first = builder.plan.flows[numbers[0]]
    network = builder.recipe.network
    gids = [
        int.from_bytes(gid_bytes(host, network.ip_version), "big")
        for host in (first.src, first.dst)
    ]
    mtu_code = network.mtu.bit_length() - 8
    request = [
        (0, local, 4), (8, IP_SERVICE | 18515, 8), (16, 0x1000 + count, 8),
        (32, queue_pairs[0] << 8, 4), (43, 20 << 3, 1), (44, initial_psns[0] << 8 | 20 << 3 | 7, 4),
        (48, 0xFFFF, 2), (50, mtu_code << 4 | 7, 1), (51, 15 << 4, 1), (52, 0xFFFFFFFF, 4),
        (56, gids[0], 16), (72, gids[1], 16), (91, 0x11, 1), (93, 64, 1), (95, 17 << 3, 1),
    ]  # fmt: skip
    reply = [*back, (12, queue_pairs[1] << 8, 4), (20, initial_psns[1] << 8, 4)]
    forms: dict[int, tuple[int, list[tuple[int, int, int]]]] = {
        CM_REQ: (0, request),
        CM_REP: (1, reply),
        CM_RTU: (0, ids),
        CM_REJ: (1, [*back, (10, reason, 2)]),
        CM_DREQ: (0, [*ids, (8, queue_pairs[1] << 8, 4)]),
        CM_DREP: (1, back),
    }
    for position, step in enumerate(steps):
        direction, content = forms[step]
        number = numbers[direction]
        flow = builder.plan.flows[number]
        builder.payloads.append(_mad(step, 0x7000 + count, content))
        row = {
            "time_ns": start_ns + position * CM_SPACING_NS,
            "kind": t.DATA,
            "flow": number,
            "opcode": 0x64,
            "index": -1,
            "psn": position + count * 8,
            "payload_bytes": MAD_BYTES,
            "blob": len(builder.payloads),
        }
        builder.add(flow.src, flow.dst, row)
    names = {CM_REQ: "REQ", CM_REP: "REP", CM_RTU: "RTU", CM_REJ: "REJ", CM_DREQ: "DREQ",
             CM_DREP: "DREP"}  # fmt: skip
    builder.connections.append(
        {"src": first.src, "dst": first.dst, "queue_pairs": list(queue_pairs),
         "start_ns": start_ns, "messages": [names[step] for step in steps]}
    )  # fmt: skip


def _add_pauses(builder: _Builder, fault: Pause) -> None:
    """Add the XOFF frames of each storm, repeated while it lasts, and the XON."""
    recipe = builder.recipe
    classic = fault.kind == "pause"
    priorities = 1 << fault.priority
    off = builder.template(pause_template(recipe, priorities, fault.quanta, classic))
    on = builder.template(pause_template(recipe, priorities, 0, classic))
    quantum_ns = 512 / recipe.network.link_gbps
    for storm in range(fault.storms):
        start_ns = int((fault.start_us + storm * fault.interval_us) * 1000)
        end_ns = start_ns + int(fault.duration_us * 1000)
        times = list(range(start_ns, end_ns, int(fault.refresh_us * 1000)))
        frames = [(time, off) for time in times] + ([(end_ns, on)] if fault.resume else [])
        for time, number in frames:
            row = {"time_ns": time, "kind": t.BLOB, "flow": 0, "blob": number, "index": -1,
                   "opcode": t.BLOB_PAUSE if classic else t.BLOB_PFC}  # fmt: skip
            builder.add(fault.host, fault.host, row)
        full_ns = fault.quanta * quantum_ns
        ends = [*times[1:], end_ns if fault.resume else 1 << 62]
        pause_ns = sum(min(full_ns, end - time) for time, end in zip(times, ends, strict=True))
        builder.pauses.append(
            {"kind": fault.kind, "host": fault.host, "priority": fault.priority,
             "start_ns": start_ns, "end_ns": end_ns, "xoff_frames": len(times),
             "xon_frames": int(fault.resume), "quanta": fault.quanta,
             "pause_ns_by_frames": round(pause_ns)}
        )  # fmt: skip


def _add_tcp(builder: _Builder, spec: Background, src: int, dst: int, sport: int) -> None:
    """Add a TCP connection: handshake, data with an ACK for every second segment, the end."""
    there = builder.template(
        background_template(builder.recipe, src, dst, (sport, spec.port), True)
    )
    back = builder.template(background_template(builder.recipe, dst, src, (spec.port, sport), True))
    start_ns, step_ns = int(spec.start_us * 1000), int(spec.interval_us * 1000)
    sequence, peer = [1000 * sport, 5000], builder.latency_ns
    segments: list[tuple[int, int, int, int]] = [
        (0, 0, 0x02, 0), (peer, 1, 0x12, 0), (2 * peer, 0, 0x10, 0)
    ]  # fmt: skip
    for number in range(spec.packets):
        time = 3 * peer + number * step_ns
        segments.append((time, 0, 0x18, spec.payload_bytes))
        if number % 2 == 1 or number == spec.packets - 1:
            segments.append((time + peer, 1, 0x10, 0))
    end = 4 * peer + spec.packets * step_ns
    segments += [(end, 0, 0x11, 0), (end + peer, 1, 0x11, 0), (end + 2 * peer, 0, 0x10, 0)]
    for number, (time, side, flags, payload) in enumerate(segments):
        ends = (src, dst) if side == 0 else (dst, src)
        row = {
            "time_ns": start_ns + time, "kind": t.TCP, "flow": 0, "opcode": flags, "index": -1,
            "psn": sequence[side], "aeth": sequence[1 - side] if flags != 0x02 else 0,
            "payload_bytes": payload, "ip_id": number, "blob": there if side == 0 else back,
        }  # fmt: skip
        builder.add(*ends, row)
        sequence[side] += payload + (1 if flags & 0x03 else 0)


def _add_udp(builder: _Builder, spec: Background, src: int, dst: int, sport: int) -> None:
    number = builder.template(
        background_template(builder.recipe, src, dst, (sport, spec.port), False)
    )
    for packet in range(spec.packets):
        row = {
            "time_ns": int((spec.start_us + packet * spec.interval_us) * 1000), "kind": t.UDP,
            "flow": 0, "index": -1, "payload_bytes": spec.payload_bytes, "ip_id": packet,
            "blob": number,
        }  # fmt: skip
        builder.add(src, dst, row)


def build_static(
    recipe: Recipe,
    plan: Plan,
    flows: Table,
    cm_flows: dict[tuple[int, int], int],
    workload_of_flow: list[int],
) -> Static:
    """Return all rows that are known before the run, sorted by time."""
    builder = _Builder(recipe, plan, 2 * len(plan.flows), int(recipe.network.latency_us * 1000))
    for number, workload in enumerate(recipe.workloads):
        if isinstance(workload, Collective | Bulk) and workload.connect:
            for f in range(0, len(workload_of_flow), 2):
                flow = plan.flows[f]
                if workload_of_flow[f] == number:
                    psns = (int(flows["initial_psn"][f]), int(flows["initial_psn"][f + 1]))
                    qps = (plan.flows[f + 1].dest_qp, flow.dest_qp)
                    pair = (cm_flows[flow.src, flow.dst], cm_flows[flow.dst, flow.src])
                    when = len(builder.connections) * 1000
                    _exchange(builder, pair, qps, psns, when, (CM_REQ, CM_REP, CM_RTU))
        elif isinstance(workload, Background):
            for position, (src, dst) in enumerate(workload.pairs):
                add = _add_tcp if workload.kind == "tcp" else _add_udp
                add(builder, workload, src, dst, 40_000 + 16 * number + position)
    for fault in recipe.faults:
        if isinstance(fault, Pause):
            _add_pauses(builder, fault)
        elif isinstance(fault, ConnectionFault):
            pair = (cm_flows[fault.src, fault.dst], cm_flows[fault.dst, fault.src])
            qps = (0x900 + len(builder.connections), 0xA00 + len(builder.connections))
            steps: tuple[int, ...] = (CM_REQ, CM_REJ)
            if fault.kind == "cm_closed":
                steps = (CM_REQ, CM_REP, CM_RTU, CM_DREQ, CM_DREP)
            start_ns = int(fault.start_us * 1000)
            _exchange(builder, pair, qps, (0, 0), start_ns, steps, fault.reason)
    return _sorted(builder)


def _sorted(builder: _Builder) -> Static:
    rows = t.table(t.ROW, len(builder.rows))
    for position, row in enumerate(builder.rows):
        for name, value in row.items():
            rows[name][position] = value
    rows["uid"] = -1 - np.arange(len(rows))
    order = np.argsort(rows["time_ns"], kind="stable")
    places = np.array(builder.places, np.int64).reshape(-1, 2)[order]
    return Static(
        rows[order].view(np.recarray), places[:, 0], places[:, 1], builder.templates,
        builder.payloads, builder.connections, builder.pauses,
    )  # fmt: skip
