"""The packet engine's loop: takes the next event, moves one packet, and queues what follows.

Tables are those of `layout.Network`. The loop comes back when nothing is left, at a time limit,
or when an array is nearly full; its caller enlarges the array and calls it again.
"""

import numpy as np
from numba import njit

from fabricscope.topology.packet_level.changes.kernels import (
    apply_changes,
)
from fabricscope.topology.packet_level.endpoints.kernels import (
    activate,
    receive,
    send_next,
)
from fabricscope.topology.packet_level.events.kernels import (
    drop_first,
    replace_first,
)
from fabricscope.topology.packet_level.forwarding.kernels import (
    choose_port,
    forget_routes,
)
from fabricscope.topology.packet_level.layout import (
    CNP,
    CORRUPTED,
    DONE,
    ENDPOINT,
    IN_FLIGHT,
    INTO_DEAD,
    MAX_TTL,
    NEEDS_ROOM,
    NEVER,
    NO_ROUTE,
    PAUSE,
    QP_IDLE,
    QP_PACED,
    REACHED_LIMIT,
    TOOK_ENOUGH,
)
from fabricscope.topology.packet_level.queues.kernels import (
    check_pauses,
    draw,
    enqueue,
    free_packet,
    give_back,
    insert_first,
    lose,
    obey_pause,
)
from fabricscope.topology.packet_level.recovery.kernels import (
    act,
    age_entries,
    receive_notice,
    sample_packet,
)
from fabricscope.topology.packet_level.transport.kernels import (
    finish_transfer,
    fire_timeout,
    start_transfer,
)
from fabricscope.topology.routing.kernels import (
    mix,
)


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def take_arrival(net, channel, now):
    """Return the packet that arrives over `channel` now, and put the port's next event in place.

    The event of this arrival is still the first of the heap.
    """
    clock = net.clock[0]
    port = net.ports[channel]
    number = np.int64(port["head"])
    following = np.int64(net.packets[number]["next"])
    if port["drain"] == number:
        give_back(net.ports, net.devices, net.packets[number], port)
        port["drain"] = following
    port["head"] = following
    leaves = NEVER
    if following < 0:
        port["tail"] = -1
    else:
        leaves = net.packets[following]["leaves"]
    if leaves < NEVER:
        net.due[channel] = leaves + port["lag"]
        replace_first(net.heap, leaves + port["lag"], channel)
    else:
        net.due[channel] = NEVER
        drop_first(net.heap, clock)
    net.channel_bytes[clock["window"], channel] += net.packets[number]["size"]
    return number


@njit(cache=True, nogil=True, _nrt=False)
def find_fate(net, channel, number, now):
    """Return why a watched channel loses the packet that has just come out of it, or -1."""
    port = net.ports[channel]
    packet = net.packets[number]
    leaves = packet["leaves"] + port["shift"]
    began = leaves - np.int64(packet["size"] * port["ps_per_byte"] + 0.5)
    if port["dead"]:
        return np.int64(IN_FLIGHT if began < port["down_since"] else INTO_DEAD)
    if began < port["alive_since"]:
        return np.int64(IN_FLIGHT if began < port["down_since"] else INTO_DEAD)
    if port["loss"] > 0.0 and draw(net.clock[0]["seed"], now, channel) < port["loss"]:
        return np.int64(CORRUPTED)
    return np.int64(-1)


@njit(cache=True, nogil=True, _nrt=False)
def record(net, channel, number):
    """Write down for a mirror port what has left into `channel`, unless the port was dead."""
    port = net.ports[channel]
    packet = net.packets[number]
    leaves = packet["leaves"] + port["shift"]
    began = leaves - np.int64(packet["size"] * port["ps_per_byte"] + 0.5)
    dead = began >= port["down_since"] and (port["dead"] or began < port["alive_since"])
    if port["faulty"] and dead:
        return
    clock = net.clock[0]
    if clock["tap_size"] == len(net.taps):
        clock["tap_missed"] += 1
        return
    row = net.taps[clock["tap_size"]]
    clock["tap_size"] += 1
    row["time"] = leaves
    row["psn"] = packet["psn"]
    row["channel"] = channel
    row["qp"] = packet["qp"]
    row["size"] = packet["size"]
    row["kind"] = packet["kind"]
    row["flags"] = packet["flags"]
    row["hop"] = packet["hop"]


@njit(cache=True, nogil=True, _nrt=False)
def handle_seldom(net, ident, now):
    """Handle an event that is neither an arrival nor a NIC's turn to send."""
    clock = net.clock[0]
    if ident >= clock["base_start"]:
        transfer = ident - clock["base_start"]
        if net.transfers[transfer]["packets"] == 0:
            net.transfers[transfer]["started"] = now
            net.transfers[transfer]["acknowledged"] = now
            finish_transfer(
                net.heap, clock, net.transfers, net.successor_start, net.successors,
                transfer, now,
            )  # fmt: skip
            return
        start_transfer(clock, net.queue_pairs, net.transfers, net.lists, transfer, now)
        activate(net, np.int64(net.transfers[transfer]["qp"]), now)
        return
    if net.due[ident] != now:
        return
    net.due[ident] = NEVER
    if ident >= clock["base_action"]:
        act(net, ident - clock["base_action"], now)
    elif ident == clock["base_age"]:
        age_entries(net, now)
    elif ident == clock["base_change"]:
        apply_changes(net, now)
    elif ident >= clock["base_pace"]:
        number = ident - clock["base_pace"]
        if net.queue_pairs[number]["state"] == QP_PACED:
            net.queue_pairs[number]["state"] = QP_IDLE
            activate(net, number, now)
    elif ident >= clock["base_timeout"]:
        number = ident - clock["base_timeout"]
        pair = net.queue_pairs[number]
        done = fire_timeout(net.heap, clock, net.due, net.rules[0], pair, number, now)
        if done == 2:
            pair["flow_hash"] = mix(pair["flow_hash"] + np.uint64(1))
            forget_routes(net, number)
        if done:
            activate(net, number, now)
    else:
        check_pauses(
            net.heap, clock, net.due, net.rules[0], net.ports, net.devices, net.packets,
            net.out_channels, ident - clock["base_check"], now,
        )  # fmt: skip


@njit(cache=True, nogil=True, _nrt=False)
def handle_control(net, channel, number, now):
    """Handle a pause frame or a notice that came in over `channel`; both end here."""
    clock = net.clock[0]
    if net.packets[number]["kind"] == PAUSE:
        obey_pause(
            net.heap, clock, net.due, net.rules[0], net.ports, net.devices, net.packets,
            net.out_channels, channel ^ 1, np.int64(net.packets[number]["psn"]), now,
        )  # fmt: skip
    else:
        receive_notice(net, number, channel, now)
    free_packet(clock, net.packets, number)


@njit(cache=True, nogil=True, _nrt=False)
def advance(net, limit, most_events, margin):
    """Run until `limit` ps or for `most_events` events; return why it came back.

    margin: free rows of packets, actions and heap that one event may need.
    """
    clock = net.clock[0]
    channels = len(net.ports)
    for done in range(most_events):
        if clock["heap_size"] == 0:
            clock["events"] += done
            return DONE
        now = net.heap.time[0]
        ident = np.int64(net.heap.ident[0])
        if now > limit:
            clock["events"] += done
            return REACHED_LIMIT
        if (
            clock["free_packets"] < margin
            or clock["free_actions"] < margin
            or clock["heap_size"] + margin > len(net.heap.time)
        ):
            clock["events"] += done
            return NEEDS_ROOM
        clock["now"] = now
        number = np.int64(-1)
        target = np.int64(-1)
        inbound = np.int64(-1)
        if ident < channels:
            if net.due[ident] != now:
                drop_first(net.heap, clock)
                continue
            port = net.ports[ident]
            number = take_arrival(net, ident, now)
            if port["watched"]:
                if port["tapped"]:
                    record(net, ident, number)
                cause = find_fate(net, ident, number, now)
                if cause >= 0:
                    lose(
                        clock, net.packets, net.queue_pairs, net.lost, number, cause, now
                    )  # fmt: skip
                    continue
            device = np.int64(port["target"])
            packet = net.packets[number]
            if packet["kind"] >= PAUSE:
                handle_control(net, ident, number, now)
                continue
            if net.devices[device]["kind"] == ENDPOINT:
                number = receive(net, device, number, now)
                if number < 0:
                    continue
                target = choose_port(net, device, number)
            else:
                inbound = ident
                packet["hop"] += 1
                if packet["hop"] < MAX_TTL:
                    target = choose_port(net, device, number)
            if target < 0:
                lose(clock, net.packets, net.queue_pairs, net.lost, number, NO_ROUTE, now)
                continue
            if net.ports[target]["faulty"]:
                sample_packet(net, device, target, number, inbound, now)
        elif ident < 2 * channels:
            if net.due[ident] != now:
                drop_first(net.heap, clock)
                continue
            target = ident - channels
            number = send_next(net, target, now)
            if number < 0:
                continue
        else:
            drop_first(net.heap, clock)
            handle_seldom(net, ident, now)
            continue
        if net.packets[number]["kind"] == CNP:
            insert_first(
                net.heap, clock, net.due, net.ports, net.devices, net.packets, target, number, now
            )
            continue
        enqueue(
            net.heap, clock, net.due, net.rules[0], net.ports, net.devices, net.packets,
            net.out_channels, net.queue_pairs, net.lost, target, number, inbound, now,
        )  # fmt: skip
    clock["events"] += most_events
    return TOOK_ENOUGH
