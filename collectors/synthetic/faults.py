"""Faults of a recipe as the simulator's tables: triggers, chances and pauses."""

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.synthetic import tables as t
from fabricscope.collectors.synthetic.plan import Plan
from fabricscope.collectors.synthetic.recipe import (
    FlowChoice,
    MessageFault,
    PacketFault,
    Pause,
    Recipe,
    SlowRank,
    Stall,
)

PLACES = {"uplink": t.UPLINK, "fabric": t.FABRIC, "downlink": t.DOWNLINK}
PACKET_KINDS = {"loss": t.LOSS, "reorder": t.REORDER, "ce": t.CE_MARK, "ack_loss": t.ACK_LOSS}
MESSAGE_KINDS = {"tail_loss": t.TAIL_LOSS, "rnr": t.RNR_FAULT, "access_error": t.ACCESS_ERROR}


def chosen_flows(plan: Plan, choice: FlowChoice, workload_of_flow: list[int]) -> list[int]:
    """Return the flows that a recipe's `flow` entry matches, in order."""
    return [
        number
        for number, flow in enumerate(plan.flows)
        if choice.src in (None, flow.src)
        and choice.dst in (None, flow.dst)
        and choice.queue_pair in (None, flow.pair)
        and choice.workload in (None, workload_of_flow[number])
    ]


def build_triggers(recipe: Recipe, plan: Plan, workload_of_flow: list[int]) -> t.Table:
    """Return the triggers sorted by flow."""
    rows: list[tuple[int, ...]] = []
    for number, fault in enumerate(recipe.faults):
        if not isinstance(fault, PacketFault | MessageFault | Stall):
            continue
        flows = chosen_flows(plan, fault.flow, workload_of_flow)
        with_data = [flow for flow in flows if plan.flows[flow].tasks > 0]
        for flow in with_data:
            if isinstance(fault, PacketFault):
                kind, where = PACKET_KINDS[fault.kind], PLACES[fault.where]
                for at in fault.packets:
                    rows.append((flow, kind, at, fault.burst, where, 0, number, 1))
            elif isinstance(fault, MessageFault):
                kind, where = MESSAGE_KINDS[fault.kind], PLACES[fault.where]
                rows.append(
                    (
                        flow,
                        kind,
                        fault.message,
                        fault.count,
                        where,
                        fault.timer,
                        number,
                        fault.count,
                    )
                )
            else:
                rows.append((flow, t.STALL, fault.packet, 1, t.NOWHERE, 0, number, 1))
    rows.sort(key=lambda row: row[0])
    triggers = t.table(t.TRIGGER, len(rows))
    for position, row in enumerate(rows):
        triggers[position] = row
    return triggers


def build_chances(
    recipe: Recipe, plan: Plan, workload_of_flow: list[int]
) -> tuple[t.Table, NDArray[np.uint8]]:
    """Return the random faults and, for each, the flows that it may hit."""
    faults = [
        (number, fault)
        for number, fault in enumerate(recipe.faults)
        if isinstance(fault, PacketFault) and fault.ratio > 0
    ]
    chances = t.table(t.CHANCE, len(faults))
    masks = np.zeros((len(faults), len(plan.flows)), np.uint8)
    for position, (number, fault) in enumerate(faults):
        chance = chances[position]
        chance["kind"] = PACKET_KINDS[fault.kind]
        chance["where"] = PLACES[fault.where]
        chance["burst"] = fault.burst
        chance["start_ns"] = int(fault.start_us * 1000)
        chance["stop_ns"] = int(fault.stop_us * 1000)
        chance["fault"] = number
        chance["ratio"] = fault.ratio
        masks[position, chosen_flows(plan, fault.flow, workload_of_flow)] = 1
    return chances, masks


def build_pauses(recipe: Recipe) -> t.Table:
    """Return when which host may not send, one row a storm."""
    rows: list[tuple[int, int, int]] = []
    for fault in recipe.faults:
        if isinstance(fault, Pause):
            for storm in range(fault.storms):
                start_ns = int((fault.start_us + storm * fault.interval_us) * 1000)
                rows.append((fault.host, start_ns, start_ns + int(fault.duration_us * 1000)))
    pauses = t.table(t.PAUSE, len(rows))
    for position, row in enumerate(rows):
        pauses[position] = row
    return pauses


def compute_delay_ns(recipe: Recipe, compute_us: float, host: int, iteration: int) -> int:
    """Return how long a host computes before an iteration, stragglers' lateness included."""
    late_us = sum(
        fault.late_us
        for fault in recipe.faults
        if isinstance(fault, SlowRank)
        and fault.host == host
        and iteration >= fault.from_iteration
        and (iteration - fault.from_iteration) % fault.every == 0
    )
    return int((compute_us + late_us) * 1000)
