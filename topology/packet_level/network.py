"""Fills the kernels' tables from a fabric, a workload, failures and parameters, and enlarges them.

Nothing is simulated here.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.errors import FabricError
from fabricscope.topology.fabric import ENDPOINT_KINDS, NVLINK_SWITCH, Fabric
from fabricscope.topology.failures import Failure
from fabricscope.topology.packet_level import layout
from fabricscope.topology.packet_level.layout import AFTER_ALL, NEVER, Heap, Network
from fabricscope.topology.packet_level.parameters import Nic, PacketOptions, SwitchModel
from fabricscope.topology.recovery.plan import DataPlane, Plan
from fabricscope.topology.routing.balancing import Balancing, assign_hashes, pair_ends
from fabricscope.topology.routing.routes import Routes, RouteState
from fabricscope.topology.workloads.transfers import Transfers

__all__ = ["MOST_CHANNELS", "build_network", "enlarge", "picoseconds"]

MOST_CHANNELS: Final = 1 << 24
_LEAST_PACKETS: Final = 4096
_LEAST_ACTIONS: Final = 1024
_NOT_YET: Final = -NEVER


def picoseconds(time_ns: float) -> int:
    """Return a time in ns as whole picoseconds."""
    return round(time_ns * 1000)


def build_network(
    fabric: Fabric,
    routes: Routes,
    balancing: Balancing,
    workload: Transfers,
    failures: Sequence[Failure],
    plan: Plan,
    nic: Nic,
    switch: SwitchModel,
    taps: Sequence[int],
    seed: int,
    options: PacketOptions,
    windows_ns: tuple[float, float],
) -> Network:
    """Return the tables at time 0, with every transfer that waits for nothing in the heap.

    Raises FabricError for a fabric that is too large.
    """
    if len(fabric.channels.source) > MOST_CHANNELS:
        raise FabricError(
            f"fabric {fabric.name}: the packet engine takes up to {MOST_CHANNELS // 2} links; "
            "use the flow level"
        )
    rules = _rules(nic, switch, plan, balancing)
    hashes = assign_hashes(fabric, routes, balancing, *pair_ends(workload))
    ports = _ports(fabric, switch, taps)
    devices, out_channels = _devices(fabric, switch)
    pairs, transfers, lists = _queue_pairs(fabric, workload, hashes, nic)
    changes = _changes(failures, plan, windows_ns, ports["ps_per_byte"])
    clock = np.zeros(1, layout.CLOCK)
    now = clock[0]
    channels, count = len(ports), len(pairs)
    now["base_check"] = 2 * channels
    now["base_timeout"] = now["base_check"] + len(devices)
    now["base_pace"] = now["base_timeout"] + count
    now["base_change"] = now["base_pace"] + count
    now["base_age"] = now["base_change"] + 1
    now["base_action"] = now["base_age"] + 1
    now["base_start"] = 1 << 40
    now["seed"] = np.random.default_rng(seed).integers(0, 2**64, dtype=np.uint64)
    now["first_loss"] = now["last_loss"] = -1
    now["unfinished"] = len(transfers)
    now["epoch"] = 1
    now["free_packet"] = now["free_action"] = -1
    heap, beginning = _heap(workload, transfers, changes, now)
    due = np.full(int(now["base_action"]) + _LEAST_ACTIONS, NEVER, np.int64)
    if beginning is not None:
        due[now["base_change"]] = beginning
    plane = plan.data_plane if plan.data_plane and plan.data_plane.mode == "sampled" else None
    faults, columns = _faults(fabric, routes, plane, options)
    excluded = np.zeros(channels, np.uint8)
    excluded[list(options.excluded_channels)] = 1
    takes_part = np.zeros(len(devices), np.uint8)
    if plan.data_plane is not None:
        takes_part[:] = plan.data_plane.takes_part
    network = Network(
        clock=clock,
        rules=rules,
        heap=heap,
        due=due,
        ports=ports,
        devices=devices,
        packets=np.zeros(0, layout.PACKET),
        queue_pairs=pairs,
        cache=np.full(count * 2 * layout.CACHED_HOPS, -1, np.int64),
        seen=np.zeros(count * int(rules["window"][0]) if balancing.sprays else 0, np.uint8),
        transfers=transfers,
        lists=lists,
        successor_start=np.ascontiguousarray(workload.successor_start, np.int64),
        successors=np.ascontiguousarray(workload.successors, np.int32),
        out_channels=out_channels,
        channel_bytes=np.zeros((3, channels), np.int64),
        lost=np.zeros(len(layout.CAUSES), np.int64),
        changes=changes,
        actions=np.zeros(0, layout.ACTION),
        faults=faults,
        fault_columns=columns,
        ages=np.zeros(len(faults) + 1, np.int64),
        takes_part=takes_part,
        excluded=excluded,
        lonely=_lonely(routes),
        log=np.zeros(options.most_log_lines, layout.LOG),
        taps=np.zeros(options.most_tap_packets if taps else 0, layout.TAP),
        routes=routes,
        state=RouteState.initial(routes),
        seeds=balancing.seeds(fabric),
    )
    return enlarge(network, _LEAST_PACKETS, _LEAST_ACTIONS)


def enlarge(network: Network, packets: int, actions: int, heap: int = 0) -> Network:
    """Return the network with room for that many packets, actions and more events."""
    clock = network.clock[0]
    network = network._replace(
        packets=_lengthen(network.packets, packets, clock, "packet"),
        actions=_lengthen(network.actions, actions, clock, "action"),
    )
    most = int(clock["base_action"]) + actions
    if most > len(network.due):
        grown = np.full(most, NEVER, np.int64)
        grown[: len(network.due)] = network.due
        network = network._replace(due=grown)
    if heap:
        network = network._replace(
            heap=Heap(
                np.concatenate((network.heap.time, np.full(heap, AFTER_ALL))),
                np.concatenate((network.heap.ident, np.zeros(heap, np.int64))),
            )
        )
    return network


def _align(count: int, dtype: np.dtype[np.void]) -> NDArray[np.void]:
    """Return rows of zeros that begin at a cache line."""
    size = dtype.itemsize * count
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype)


def _lengthen(rows: NDArray[np.void], want: int, clock: np.void, kind: str) -> NDArray[np.void]:
    """Return a table with `want` rows, the new ones in front of its list of free rows."""
    more = want - len(rows)
    if more <= 0:
        return rows
    table = _align(want, rows.dtype)
    table[: len(rows)] = rows
    table["next"][len(rows) :] = np.arange(len(rows) + 1, want + 1)
    table["next"][-1] = clock[f"free_{kind}"]
    clock[f"free_{kind}"] = len(rows)
    clock[f"free_{kind}s"] += more
    return table


def _rules(nic: Nic, switch: SwitchModel, plan: Plan, balancing: Balancing) -> NDArray[np.void]:
    rules = np.zeros(1, layout.RULES)
    row = rules[0]
    row["mtu"], row["header"] = nic.mtu_bytes, nic.header_bytes
    row["first_header"] = nic.first_header_bytes
    row["ack_size"], row["cnp_size"] = nic.ack_bytes, nic.cnp_bytes
    row["window"] = max(1, nic.window_bytes // nic.mtu_bytes)
    row["ack_every"], row["reorder"] = nic.ack_every, nic.reorder_packets
    row["timeout"] = picoseconds(nic.timeout_ns)
    row["retries"], row["backoff"] = nic.retry_count, nic.backoff
    row["relabel"] = picoseconds(plan.relabel_ns or 0.0)
    row["spray"] = balancing.sprays
    if balancing.kind == "flowlet":
        row["flowlet"] = picoseconds(balancing.flowlet_gap_ns)
    row["marking"], row["mark_most"] = switch.ecn, switch.mark_most
    row["lossless"] = switch.lossless
    row["pause_alpha"], row["resume_offset"] = switch.pause_alpha, switch.resume_offset_bytes
    row["drop_alpha"], row["pause_size"] = switch.drop_alpha, switch.pause_bytes
    row["cnp_interval"] = NEVER
    if nic.dcqcn is not None:
        control = nic.dcqcn
        row["dcqcn"] = 1
        row["cnp_interval"] = picoseconds(control.cnp_interval_ns)
        row["gain"] = control.gain
        row["alpha_period"] = picoseconds(control.alpha_period_ns)
        row["raise_period"] = picoseconds(control.raise_period_ns)
        row["raise_bytes"], row["fast_stages"] = control.raise_bytes, control.fast_stages
        row["keeps_target"] = control.keeps_target
        row["additive"] = control.additive_gbps / 8000.0
        row["hyper"] = control.hyper_gbps / 8000.0
        row["least_rate"] = control.least_gbps / 8000.0
    if plan.data_plane is not None:
        _plane_rules(row, plan.data_plane)
    return rules


def _plane_rules(row: np.void, plane: DataPlane) -> None:
    row["plane"] = {"port": 1, "sampled": 2}[plane.mode]
    row["local"], row["remote"] = plane.local, plane.remote
    row["detect"] = picoseconds(plane.detect_ns)
    row["install"] = picoseconds(plane.install_ns)
    row["process"] = picoseconds(plane.process_ns)
    row["sampler"], row["table_size"] = plane.sampler, plane.table_size
    row["ageing"] = picoseconds(plane.ageing_ns)
    row["notice_size"] = plane.notification_bytes


def _ports(fabric: Fabric, switch: SwitchModel, taps: Sequence[int]) -> NDArray[np.void]:
    channels = fabric.channels
    ports = _align(len(channels.source), layout.PORT)
    for field in ("head", "tail", "drain", "ready_head", "ready_tail"):
        ports[field] = -1
    ports["source"], ports["target"] = channels.source, channels.target
    ports["lag"] = np.rint(channels.delay_ns * 1000).astype(np.int64)
    ports["ps_per_byte"] = 8000.0 / channels.rate
    ports["mark_from"] = np.rint(channels.rate * switch.mark_from_bytes_per_gbps)
    ports["mark_all"] = np.rint(channels.rate * switch.mark_all_bytes_per_gbps)
    endpoint = np.array([device.kind in ENDPOINT_KINDS for device in fabric.devices], np.bool_)
    ports["switched"] = ~endpoint[channels.source]
    ports["alive_since"] = ports["down_since"] = _NOT_YET
    ports["tapped"][list(taps)] = 1
    ports["watched"][list(taps)] = 1
    return ports


def _devices(fabric: Fabric, switch: SwitchModel) -> tuple[NDArray[np.void], NDArray[np.int32]]:
    devices = _align(len(fabric.devices), layout.DEVICE)
    source = fabric.channels.source
    order = np.argsort(source, kind="stable").astype(np.int32)
    bounds = np.searchsorted(source[order], np.arange(len(devices) + 1))
    devices["out_start"], devices["out_end"] = bounds[:-1], bounds[1:]
    for number, device in enumerate(fabric.devices):
        if device.kind in ENDPOINT_KINDS:
            devices["kind"][number] = layout.ENDPOINT
        else:
            inner = device.kind == NVLINK_SWITCH
            devices["kind"][number] = layout.INNER if inner else layout.SWITCH
    degree = bounds[1:] - bounds[:-1]
    devices["buffer"] = switch.buffer_bytes
    reserved = np.minimum(degree * switch.headroom_bytes, switch.buffer_bytes // 2)
    devices["shared"] = switch.buffer_bytes - reserved
    return devices, order


def _queue_pairs(
    fabric: Fabric, workload: Transfers, hashes: NDArray[np.uint64], nic: Nic
) -> tuple[NDArray[np.void], NDArray[np.void], NDArray[np.int32]]:
    """Return queue pairs, transfers, and each queue pair's transfers in order of their number."""
    count = int(workload.queue_pair.max(initial=-1)) + 1
    pairs = _align(count, layout.QUEUE_PAIR)
    pairs["source"][workload.queue_pair] = workload.source
    pairs["destination"][workload.queue_pair] = workload.destination
    pairs["flow_hash"] = hashes[:count]
    pairs["next_ready"] = -1
    pairs["last_cnp"] = _NOT_YET
    rate = np.zeros(len(fabric.devices))
    np.maximum.at(rate, fabric.channels.source, fabric.channels.rate)
    pairs["line_rate"] = rate[pairs["source"]] / 8000.0
    pairs["rate"] = pairs["target"] = pairs["line_rate"]
    transfers = np.zeros(len(workload.source), layout.TRANSFER)
    transfers["qp"], transfers["waits"] = workload.queue_pair, workload.waits
    transfers["size"] = workload.size_bytes
    transfers["delay"] = np.rint(workload.delay_ns * 1000).astype(np.int64)
    packets = np.maximum(1, -(-workload.size_bytes // nic.mtu_bytes))
    packets[workload.source == workload.destination] = 0
    transfers["packets"] = packets
    for field in ("started", "finished", "acknowledged"):
        transfers[field] = -1
    moving = np.flatnonzero(packets)
    order = moving[np.argsort(workload.queue_pair[moving], kind="stable")].astype(np.int32)
    owner = workload.queue_pair[order]
    bounds = np.searchsorted(owner, np.arange(count + 1))
    total = np.cumsum(packets[order]) - packets[order]
    if len(order):
        transfers["first_psn"][order] = total - total[bounds[:-1].clip(max=len(order) - 1)][owner]
    for field in ("list_start", "posting", "sending", "acknowledging", "receiving"):
        pairs[field] = bounds[:-1]
    pairs["list_end"] = bounds[1:]
    return pairs, transfers, order


def _changes(
    failures: Sequence[Failure],
    plan: Plan,
    windows_ns: tuple[float, float],
    ps_per_byte: NDArray[np.float64],
) -> NDArray[np.void]:
    """Return what is known beforehand, in order of time: breaks, then signals, then routes."""
    rows: list[tuple[int, int, int, int, int, float, float]] = []
    for failure in failures:
        for event in failure.events:
            time = picoseconds(event.time_ns)
            pace = 0.0
            if event.rate_factor > 0:
                pace = float(ps_per_byte[event.channel]) / event.rate_factor
            rows.append((time, layout.CHANGE_CHANNEL, -1, event.channel, -1, pace, event.loss))
        for device in failure.devices:
            time = picoseconds(failure.start_ns)
            rows.append((time, layout.CHANGE_CRASH, device, -1, -1, 0.0, 0.0))
        if plan.data_plane is not None:
            for signal in failure.signals:
                time = picoseconds(signal.time_ns)
                rows.append(
                    (time, layout.CHANGE_SIGNAL, -1, signal.channel, -1, float(signal.up), 0.0)
                )
    for change in plan.changes if plan.data_plane is None else plan.beneath:
        time = picoseconds(change.time_ns)
        use = float(change.use)
        rows.append(
            (time, layout.CHANGE_ROUTE, change.device, change.channel, change.group, use, 0.0)
        )
    for number, window_ns in enumerate(windows_ns, 1):
        if np.isfinite(window_ns):
            time = picoseconds(window_ns)
            rows.append((time, layout.CHANGE_WINDOW, -1, -1, -1, float(number), 0.0))
    order = {layout.CHANGE_CRASH: -1}
    rows.sort(key=lambda row: (row[0], order.get(row[1], row[1])))
    return np.array(rows, layout.CHANGE)


def _heap(
    workload: Transfers, transfers: NDArray[np.void], changes: NDArray[np.void], clock: np.void
) -> tuple[Heap, int | None]:
    """Return the heap with the first changes and all transfers that wait for nothing."""
    beginning = np.flatnonzero(workload.waits == 0)
    time = transfers["delay"][beginning]
    ident = clock["base_start"] + beginning
    first = None
    if len(changes):
        first = int(changes["time"][0])
        time = np.append(time, first)
        ident = np.append(ident, clock["base_change"])
    order = np.lexsort((ident, time))
    clock["heap_size"] = len(order)
    room = 8192
    return Heap(
        np.concatenate((time[order], np.full(room, AFTER_ALL))),
        np.concatenate((ident[order], np.zeros(room, np.int64))),
    ), first


def _faults(
    fabric: Fabric, routes: Routes, plane: DataPlane | None, options: PacketOptions
) -> tuple[NDArray[np.void], NDArray[np.int32]]:
    """Return the fault tables, (switch rows x endpoints), and each device's column in them."""
    columns = np.full(len(fabric.devices), -1, np.int32)
    if plane is None:
        return np.zeros(0, layout.FAULT), columns[:0]
    columns[fabric.endpoints] = np.arange(len(fabric.endpoints))
    rows = int(routes.row.max(initial=-1)) + 1
    columns[list(options.excluded_destinations)] = -1
    return np.zeros(rows * len(columns), layout.FAULT), columns


def _lonely(routes: Routes) -> NDArray[np.int32]:
    """Return the only endpoint of each destination group, -1 where there are more."""
    members = np.flatnonzero(routes.group >= 0)
    groups = routes.group[members]
    count = np.bincount(groups, minlength=routes.distance.shape[0])
    lonely = np.full(len(count), -1, np.int32)
    lonely[groups] = members
    lonely[count != 1] = -1
    return lonely
