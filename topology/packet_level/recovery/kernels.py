"""Kernels of changes to the fabric and of the recovery that switches carry out themselves.

Port-driven: a switch that sees its port go down withdraws it, and tells its neighbours, in
packets, if a destination group has no other port. Sampled: packets into a faulty port are sampled,
each makes an entry of the fault table for its destination, and a switch without another path
advertises the destination to the device that the sample came from.
"""

import numpy as np
from numba import njit

from fabricscope.topology.packet_level.events.kernels import (
    schedule,
)
from fabricscope.topology.packet_level.forwarding.kernels import (
    cannot_reach,
    find_alternative,
    home_port,
)
from fabricscope.topology.packet_level.layout import (
    DATA,
    LOG_AGED,
    LOG_CREATED,
    LOG_DETECTED,
    LOG_FULL,
    LOG_NOTIFIED,
    LOG_RESTORED,
    LOG_SAMPLED,
    LOG_STOPPED,
    LOG_SWITCHED,
    MAX_TTL,
    NEVER,
    NOTICE,
    PORT_DRIVEN,
    QP_IDLE,
    SAMPLED,
    SWITCH,
)
from fabricscope.topology.packet_level.queues.kernels import (
    draw,
    insert_first,
    take_packet,
)
from fabricscope.topology.packet_level.transport.kernels import (
    can_send,
    make_ready,
)
from fabricscope.topology.routing.kernels import (
    mix,
)

ACT_DETECT = 0
ACT_WITHDRAW = 1
ACT_TELL = 2
ACT_LEARN = 3
ACT_ENTER = 4
ACT_ADVERTISE = 5
"""A port's state is known, is acted on, is told; a notice is acted on; an entry, an advert."""


@njit(cache=True, nogil=True, _nrt=False)
def note(net, time, kind, device, channel, place, hops):
    """Write one line of the log, or count it when the log is full."""
    clock = net.clock[0]
    if clock["log_size"] == len(net.log):
        clock["log_missed"] += 1
        return
    line = net.log[clock["log_size"]]
    clock["log_size"] += 1
    line["time"] = time
    line["kind"] = kind
    line["device"] = device
    line["channel"] = channel
    line["place"] = place
    line["hops"] = hops


@njit(cache=True, nogil=True, _nrt=False)
def plan_action(net, time, kind, device, channel, place, origin, hops):
    """Let a switch do something at `time`; the loop sees to it that there is a free row."""
    clock = net.clock[0]
    number = clock["free_action"]
    action = net.actions[number]
    clock["free_action"] = np.int64(action["next"])
    clock["free_actions"] -= 1
    action["kind"] = kind
    action["device"] = device
    action["channel"] = channel
    action["place"] = place
    action["origin"] = origin
    action["hops"] = hops
    schedule(net.heap, clock, net.due, time, clock["base_action"] + number)


@njit(cache=True, nogil=True, _nrt=False)
def new_routes(net, now):
    """Let every queue pair look its path up again, and wake those that had none."""
    net.clock[0]["epoch"] += 1
    for number in range(len(net.queue_pairs)):
        pair = net.queue_pairs[number]
        if pair["state"] == QP_IDLE and can_send(net.rules[0], pair):
            channel = home_port(net, number)
            if channel >= 0:
                make_ready(
                    net.heap, net.clock[0], net.due, net.ports, net.queue_pairs, number, channel,
                    now,
                )  # fmt: skip


@njit(cache=True, nogil=True, _nrt=False)
def send_notice(net, channel, place, origin, hops, now):
    """Send a notice that really travels, ahead of the data.

    place: the destination, or whether a port is up again; origin: of the sampled packet.
    """
    clock = net.clock[0]
    number = take_packet(clock, net.packets)
    packet = net.packets[number]
    packet["kind"] = NOTICE
    packet["qp"] = -1
    packet["size"] = net.rules[0]["notice_size"]
    packet["psn"] = place
    packet["inbound"] = origin
    packet["hop"] = hops
    clock["notices"] += 1
    insert_first(
        net.heap, clock, net.due, net.ports, net.devices, net.packets, channel, number, now
    )


@njit(cache=True, nogil=True, _nrt=False)
def tell_neighbours(net, device, up, hops, skip, now):
    """Send a notice about `device`'s lost or regained destinations to all switches beside it."""
    for place in range(net.devices[device]["out_start"], net.devices[device]["out_end"]):
        channel = np.int64(net.out_channels[place])
        port = net.ports[channel]
        if channel == skip or port["faulty"] or net.devices[port["target"]]["kind"] != SWITCH:
            continue
        send_notice(net, channel, up, -1, hops, now)
        note(net, now, LOG_NOTIFIED, device, channel, -1, hops)


@njit(cache=True, nogil=True, _nrt=False)
def receive_notice(net, number, inbound, now):
    """Read a notice that has come in over `inbound`; a device that takes no part drops it."""
    packet = net.packets[number]
    device = np.int64(net.ports[inbound]["target"])
    rules = net.rules[0]
    if not net.takes_part[device]:
        return
    hops = np.int64(packet["hop"]) + 1
    time = now + rules["process"] + rules["install"]
    if rules["plane"] == PORT_DRIVEN:
        plan_action(net, time, ACT_LEARN, device, inbound, packet["psn"], -1, hops)
    elif rules["plane"] == SAMPLED:
        origin = np.int64(packet["inbound"])
        plan_action(
            net, time, ACT_ENTER, device, inbound ^ 1, np.int64(packet["psn"]), origin, hops
        )


@njit(cache=True, nogil=True, _nrt=False)
def learn(net, device, inbound, up, hops, now):
    """Stop (or resume) using a neighbour for the groups it cannot (or can again) reach."""
    neighbour = np.int64(net.ports[inbound]["source"])
    groups = net.routes.distance.shape[0]
    row = np.int64(net.routes.row[device])
    changed = False
    relay = False
    for group in range(groups):
        entry = row * groups + group
        for place in range(net.routes.start[entry], net.routes.start[entry + 1]):
            if net.routes.channels[place] != inbound ^ 1:
                continue
            lost = cannot_reach(net, neighbour, group)
            if lost == (net.state.excluded[place] != 0):
                continue
            before = cannot_reach(net, device, group)
            net.state.excluded[place] = 1 if lost else 0
            changed = True
            kind = LOG_SWITCHED if lost else LOG_RESTORED
            note(net, now, kind, device, inbound ^ 1, group, hops)
            relay = relay or before != cannot_reach(net, device, group)
    if changed:
        new_routes(net, now)
    if relay and hops < MAX_TTL:
        process = net.rules[0]["process"]
        plan_action(net, now + process, ACT_TELL, device, inbound ^ 1, up, -1, hops)


@njit(cache=True, nogil=True, _nrt=False)
def count_lost_groups(net, device):
    """Return how many destination groups a device cannot reach; 0 for an endpoint."""
    lost = 0
    if net.routes.row[device] >= 0:
        for group in range(net.routes.distance.shape[0]):
            lost += cannot_reach(net, device, group)
    return lost


@njit(cache=True, nogil=True, _nrt=False)
def detect(net, device, channel, up, now):
    """Note at a switch that its port is down or up again, and start what follows from it."""
    rules = net.rules[0]
    port = net.ports[channel]
    before = count_lost_groups(net, device)
    port["faulty"] = 0 if up else 1
    port["watched"] = 1
    note(net, now, LOG_DETECTED, device, channel, up, 0)
    if rules["plane"] != PORT_DRIVEN:
        return
    if rules["local"]:
        plan_action(net, now + rules["install"], ACT_WITHDRAW, device, channel, up, -1, 0)
    if rules["remote"] and count_lost_groups(net, device) != before:
        plan_action(net, now + rules["process"], ACT_TELL, device, channel, up, -1, 0)


@njit(cache=True, nogil=True, _nrt=False)
def withdraw(net, device, channel, up, now):
    """Stop using a port, or use it again and tell who was told that it is lost."""
    before = count_lost_groups(net, device)
    net.state.withdrawn[channel] = 0 if up else 1
    note(net, now, LOG_RESTORED if up else LOG_SWITCHED, device, channel, -1, 0)
    if net.rules[0]["remote"] and count_lost_groups(net, device) != before:
        time = now + net.rules[0]["process"]
        plan_action(net, time, ACT_TELL, device, channel, up, -1, 0)
    new_routes(net, now)


@njit(cache=True, nogil=True, _nrt=False)
def sample_packet(net, device, channel, number, inbound, now):
    """Sample, with probability 1/sampler, a packet that is about to enter a faulty port."""
    packet = net.packets[number]
    rules = net.rules[0]
    if rules["plane"] != SAMPLED or not net.takes_part[device] or packet["qp"] < 0:
        return
    pair = net.queue_pairs[packet["qp"]]
    forward = packet["kind"] == DATA
    destination = np.int64(pair["destination"] if forward else pair["source"])
    if net.excluded[channel] or net.fault_columns[destination] < 0:
        return
    seed = mix(net.clock[0]["seed"])
    if draw(seed, now, channel) * rules["sampler"] >= 1.0:
        return
    net.clock[0]["samples"] += 1
    note(net, now, LOG_SAMPLED, device, channel, destination, 0)
    origin = np.int64(pair["source"] if forward else pair["destination"])
    plan_action(
        net, now + rules["install"], ACT_ENTER, device, channel, destination, origin, -1 - inbound
    )


@njit(cache=True, nogil=True, _nrt=False)
def enter(net, device, channel, destination, origin, hops, now):
    """Write a fault-table entry; pass the fault on where there is no other path.

    hops: of the advertisement, or -1 - inbound channel for a device's own sample.
    """
    clock = net.clock[0]
    rules = net.rules[0]
    columns = len(net.fault_columns)
    row = np.int64(net.routes.row[device])
    if row < 0:
        return
    place = row * columns + np.int64(net.fault_columns[destination])
    own = hops < 0
    passed = np.int64(0) if own else hops
    other = find_alternative(net, device, destination, np.uint64(origin), channel)
    if other >= 0 and own and not rules["local"]:
        return
    if net.faults[place]["state"] == 0:
        if net.devices[device]["entries"] >= rules["table_size"]:
            clock["resource_fails"] += 1
            note(net, now, LOG_FULL, device, channel, destination, passed)
            return
        net.faults[place]["state"] = 1
        net.faults[place]["channel"] = channel
        net.faults[place]["destination"] = destination
        net.faults[place]["time"] = now
        net.devices[device]["entries"] += 1
        clock["created_entries"] += 1
        net.ages[clock["age_tail"] % len(net.ages)] = place
        clock["age_tail"] += 1
        if net.due[clock["base_age"]] == NEVER:
            schedule(net.heap, clock, net.due, now + rules["ageing"], clock["base_age"])
        note(net, now, LOG_CREATED, device, channel, destination, passed)
        if other >= 0:
            note(net, now, LOG_SWITCHED, device, channel, destination, passed)
            new_routes(net, now)
    elif net.faults[place]["channel"] != channel:
        note(net, now, LOG_STOPPED, device, channel, destination, passed)
        return
    if other < 0 and rules["remote"]:
        plan_action(
            net, now + rules["process"], ACT_ADVERTISE, device, channel, destination, origin, hops
        )


@njit(cache=True, nogil=True, _nrt=False)
def advertise(net, device, channel, destination, origin, hops, now):
    """Send an advertisement up: where the sample came from, or on towards its source."""
    if hops < 0:
        back = (-1 - hops) ^ 1
        if -1 - hops >= 0 and net.devices[net.ports[back]["target"]]["kind"] == SWITCH:
            send_notice(net, back, destination, origin, 0, now)
            note(net, now, LOG_NOTIFIED, device, back, destination, 0)
        else:
            note(net, now, LOG_STOPPED, device, channel, destination, 0)
        return
    groups = net.routes.distance.shape[0]
    entry = np.int64(net.routes.row[device]) * groups + np.int64(net.routes.group[origin])
    sent = False
    for place in range(net.routes.start[entry], net.routes.start[entry + 1]):
        back = np.int64(net.routes.channels[place])
        if back != channel and not net.state.withdrawn[back] and hops < MAX_TTL:
            send_notice(net, back, destination, origin, hops, now)
            note(net, now, LOG_NOTIFIED, device, back, destination, hops)
            sent = True
    if not sent:
        note(net, now, LOG_STOPPED, device, channel, destination, hops)


@njit(cache=True, nogil=True, _nrt=False)
def age_entries(net, now):
    """Forget fault-table entries whose time is over."""
    clock = net.clock[0]
    columns = len(net.fault_columns)
    groups_of_rows = net.routes.row
    while clock["age_head"] < clock["age_tail"]:
        place = net.ages[clock["age_head"] % len(net.ages)]
        fault = net.faults[place]
        if fault["time"] + net.rules[0]["ageing"] > now:
            schedule(
                net.heap, clock, net.due, fault["time"] + net.rules[0]["ageing"], clock["base_age"]
            )
            break
        clock["age_head"] += 1
        fault["state"] = 0
        clock["aged_entries"] += 1
        row = place // columns
        for device in range(len(groups_of_rows)):
            if groups_of_rows[device] == row:
                net.devices[device]["entries"] -= 1
                avoided = np.int64(fault["channel"])
                note(net, now, LOG_AGED, device, avoided, np.int64(fault["destination"]), 0)
        clock["epoch"] += 1


@njit(cache=True, nogil=True, _nrt=False)
def act(net, number, now):
    """Carry out a planned action and free its row."""
    clock = net.clock[0]
    action = net.actions[number]
    kind = action["kind"]
    device = np.int64(action["device"])
    channel = np.int64(action["channel"])
    place = np.int64(action["place"])
    origin = np.int64(action["origin"])
    hops = np.int64(action["hops"])
    action["next"] = clock["free_action"]
    clock["free_action"] = number
    clock["free_actions"] += 1
    if not net.takes_part[device]:
        return
    if kind == ACT_DETECT:
        detect(net, device, channel, place, now)
    elif kind == ACT_WITHDRAW:
        withdraw(net, device, channel, place, now)
    elif kind == ACT_TELL:
        tell_neighbours(net, device, place, hops, channel, now)
    elif kind == ACT_LEARN:
        learn(net, device, channel, place, hops, now)
    elif kind == ACT_ENTER:
        enter(net, device, channel, place, origin, hops, now)
    else:
        advertise(net, device, channel, place, origin, hops, now)
