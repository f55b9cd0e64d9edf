"""Kernels of endpoints: a NIC takes a packet in, answers, and takes its turn to send."""

import numpy as np
from numba import njit

from fabricscope.topology.packet_level.events.kernels import (
    drop_first,
    replace_first,
    schedule,
)
from fabricscope.topology.packet_level.forwarding.kernels import (
    choose_port,
    forget_routes,
    home_port,
)
from fabricscope.topology.packet_level.layout import (
    ACK,
    CNP,
    DATA,
    IS_LAST,
    IS_MARKED,
    NAK,
    NEVER,
    NO_ROUTE,
    QP_IDLE,
    QP_PACED,
    QP_READY,
)
from fabricscope.topology.packet_level.queues.kernels import (
    free_packet,
    insert_first,
    lose,
)
from fabricscope.topology.packet_level.transport.kernels import (
    accept_data,
    accept_scattered,
    advance_rate,
    after_sending,
    answer,
    can_send,
    cut_rate,
    finish_transfer,
    make_ready,
    next_data_packet,
    note_acknowledged,
    pace_time,
)
from fabricscope.topology.routing.kernels import (
    mix,
)


@njit(cache=True, nogil=True, _nrt=False)
def activate(net, number, now):
    """Let a queue pair send if it has something to send and may."""
    pair = net.queue_pairs[number]
    clock = net.clock[0]
    if pair["state"] != QP_IDLE or not can_send(net.rules[0], pair):
        return
    if pair["may_send"] > now and pair["throttled"]:
        advance_rate(net.rules[0], pair, now)
    if pair["may_send"] > now:
        pair["state"] = QP_PACED
        wake = pace_time(net.rules[0], pair)
        schedule(net.heap, clock, net.due, wake, clock["base_pace"] + number)
        return
    channel = home_port(net, number)
    if channel >= 0:
        make_ready(
            net.heap, clock, net.due, net.ports, net.queue_pairs, number, channel, now
        )  # fmt: skip


@njit(cache=True, nogil=True, _nrt=False)
def finish_arrived(net, pair, now):
    """Finish the transfers of which everything has come; return whether there were any."""
    any_finished = False
    while pair["receiving"] < pair["list_end"]:
        number = np.int64(net.lists[pair["receiving"]])
        transfer = net.transfers[number]
        if transfer["first_psn"] + transfer["packets"] > pair["expected_psn"]:
            break
        pair["receiving"] += 1
        any_finished = True
        finish_transfer(
            net.heap, net.clock[0], net.transfers, net.successor_start, net.successors, number, now
        )
    return any_finished


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def receive(net, device, number, now):
    """Let an endpoint take a packet in; return the packet that it answers with, or -1."""
    clock = net.clock[0]
    packet = net.packets[number]
    queue_pair = np.int64(packet["qp"])
    pair = net.queue_pairs[queue_pair]
    kind = packet["kind"]
    reply = np.int64(-1)
    if kind == DATA:
        warns = packet["flags"] & IS_MARKED and net.rules[0]["dcqcn"]
        if warns and now - pair["last_cnp"] >= net.rules[0]["cnp_interval"]:
            pair["last_cnp"] = now
            warning = answer(clock, net.rules[0], net.packets, pair, queue_pair, CNP)
            send_cnp(net, device, warning, now)
        before = pair["expected_psn"]
        if net.rules[0]["spray"]:
            wanted = accept_scattered(
                clock, net.rules[0], net.packets, net.queue_pairs, net.seen, number
            )
        else:
            wanted = accept_data(clock, net.rules[0], net.packets, net.queue_pairs, number)
        may_finish = packet["flags"] & IS_LAST or net.rules[0]["spray"]
        if may_finish and pair["expected_psn"] != before and finish_arrived(net, pair, now):
            wanted = ACK
            pair["unacknowledged"] = 0
        if wanted >= 0:
            reply = answer(clock, net.rules[0], net.packets, pair, queue_pair, wanted)
    elif kind == CNP:
        pair["cnps"] += 1
        cut_rate(net.rules[0], pair, now)
    else:
        news = note_acknowledged(net.rules[0], pair, net.transfers, net.lists, packet["psn"], now)
        if kind == NAK and packet["psn"] == pair["oldest_psn"]:
            pair["next_psn"] = pair["oldest_psn"]
            news = True
        if news and pair["state"] == QP_IDLE:
            activate(net, queue_pair, now)
    free_packet(clock, net.packets, number)
    return reply


@njit(cache=True, nogil=True, _nrt=False)
def send_cnp(net, device, number, now):
    """Send a CNP ahead of the data that wait at the NIC."""
    channel = choose_port(net, device, number)
    if channel < 0:
        lose(net.clock[0], net.packets, net.queue_pairs, net.lost, number, NO_ROUTE, now)
        return
    insert_first(
        net.heap, net.clock[0], net.due, net.ports, net.devices, net.packets, channel, number, now
    )


@njit(cache=True, nogil=True, _nrt=False)
def start_flowlet(net, number, now):
    """Let a queue pair that has paused long enough take another path."""
    pair = net.queue_pairs[number]
    if now - pair["last_sent"] >= net.rules[0]["flowlet"]:
        pair["flow_hash"] = mix(pair["flow_hash"] + np.uint64(1))
        forget_routes(net, number)
    pair["last_sent"] = now


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def send_next(net, channel, now):
    """Return the next data packet of the NIC port `channel`, or -1; plan the port's next turn.

    The event of this turn is still the first of the heap.
    """
    clock = net.clock[0]
    port = net.ports[channel]
    sender = len(net.ports) + channel
    made = np.int64(-1)
    net.due[sender] = NEVER
    if port["paused"] or port["ready_head"] < 0:
        drop_first(net.heap, clock)
        return made
    free = port["free"] + port["shift"]
    if free > now:
        net.due[sender] = free
        replace_first(net.heap, free, sender)
        return made
    while port["ready_head"] >= 0:
        number = np.int64(port["ready_head"])
        pair = net.queue_pairs[number]
        port["ready_head"] = pair["next_ready"]
        if pair["state"] != QP_READY:
            continue
        pair["state"] = QP_IDLE
        if not can_send(net.rules[0], pair):
            continue
        if net.rules[0]["flowlet"] > 0:
            start_flowlet(net, number, now)
        home = home_port(net, number)
        if home != channel:
            if home >= 0:
                make_ready(
                    net.heap, clock, net.due, net.ports, net.queue_pairs, number, home, now + 1
                )
            continue
        made = next_data_packet(
            clock, net.rules[0], net.packets, net.queue_pairs, net.transfers, net.lists, number
        )
        size = np.int64(net.packets[made]["size"])
        leaves = now + np.int64(size * port["ps_per_byte"] + 0.5)
        after_sending(
            net.heap, clock, net.due, net.rules[0], net.ports, net.queue_pairs, number, channel,
            size, leaves, now,
        )  # fmt: skip
        if port["ready_head"] >= 0:
            net.due[sender] = leaves
            replace_first(net.heap, leaves, sender)
        else:
            drop_first(net.heap, clock)
        return made
    drop_first(net.heap, clock)
    return made
