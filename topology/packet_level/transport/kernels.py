"""Kernels of the RoCE transport: sending, receiving, ACKs, go-back-N, time-outs and DCQCN.

A queue pair's transfers share one sequence of PSNs, counted from 0 and never wrapped here.
"""

import numpy as np
from numba import njit

from fabricscope.topology.packet_level.events.kernels import (
    push,
    schedule,
)
from fabricscope.topology.packet_level.layout import (
    ACK,
    CNP,
    DATA,
    IS_AGAIN,
    IS_FIRST,
    IS_LAST,
    IS_MARKED,
    NAK,
    NEVER,
    QP_FAILED,
    QP_IDLE,
    QP_PACED,
    QP_READY,
)
from fabricscope.topology.packet_level.queues.kernels import (
    take_packet,
)


@njit(cache=True, nogil=True, _nrt=False)
def change_rate(pair, rate, now):
    """Give a queue pair another rate; what it has to wait for its next packet follows."""
    if pair["may_send"] > now:
        left = (pair["may_send"] - now) * (pair["rate"] / rate)
        pair["may_send"] = now + np.int64(min(left, 1e18) + 0.5)
    pair["rate"] = rate


@njit(cache=True, nogil=True, _nrt=False)
def pace_time(rules, pair):
    """Return when a paced queue pair is looked at: when it may send, or its rate rises before."""
    if pair["throttled"]:
        return min(pair["may_send"], pair["raise_time"] + rules["raise_period"])
    return pair["may_send"]


@njit(cache=True, nogil=True, _nrt=False)
def raise_rate(rules, pair, now):
    """Take one step of DCQCN's increase: fast recovery, additive or hyper."""
    by_time = pair["raised_by_time"]
    by_bytes = pair["raised_by_bytes"]
    if min(by_time, by_bytes) > rules["fast_stages"]:
        pair["target"] += rules["hyper"]
    elif max(by_time, by_bytes) > rules["fast_stages"]:
        pair["target"] += rules["additive"]
    pair["target"] = min(pair["target"], pair["line_rate"])
    rate = 0.5 * (pair["rate"] + pair["target"])
    if rate > 0.999 * pair["line_rate"]:
        rate = pair["line_rate"]
        pair["throttled"] = 0
    change_rate(pair, rate, now)


@njit(cache=True, nogil=True, _nrt=False)
def advance_rate(rules, pair, now):
    """Let DCQCN's two timers of a throttled queue pair run up to `now`."""
    while pair["throttled"] and now - pair["raise_time"] >= rules["raise_period"]:
        pair["raise_time"] += rules["raise_period"]
        pair["raised_by_time"] += 1
        raise_rate(rules, pair, pair["raise_time"])
    while now - pair["alpha_time"] >= rules["alpha_period"]:
        pair["alpha_time"] += rules["alpha_period"]
        pair["alpha"] *= 1.0 - rules["gain"]
        if pair["alpha"] < 1e-9:
            periods = (now - pair["alpha_time"]) // rules["alpha_period"]
            pair["alpha_time"] += periods * rules["alpha_period"]


@njit(cache=True, nogil=True, _nrt=False)
def cut_rate(rules, pair, now):
    """Answer a CNP: DCQCN's decrease."""
    if not rules["dcqcn"]:
        return
    lowers = not rules["keeps_target"] or not pair["throttled"]
    if pair["throttled"]:
        advance_rate(rules, pair, now)
        lowers |= pair["raised_by_time"] + pair["raised_by_bytes"] > 0
    elif pair["cnps"] == 1:
        pair["alpha"] = 1.0
        pair["alpha_time"] = now
    else:
        advance_rate(rules, pair, now)
    pair["throttled"] = 1
    if lowers:
        pair["target"] = pair["rate"]
    rate = max(pair["rate"] * (1.0 - 0.5 * pair["alpha"]), rules["least_rate"])
    change_rate(pair, rate, now)
    pair["alpha"] = (1.0 - rules["gain"]) * pair["alpha"] + rules["gain"]
    pair["alpha_time"] = now
    pair["raise_time"] = now
    pair["raised_by_time"] = 0
    pair["raised_by_bytes"] = 0
    pair["bytes_since"] = 0


@njit(cache=True, nogil=True, _nrt=False)
def can_send(rules, pair):
    """Return whether the queue pair has a packet that its window lets out."""
    return (
        pair["next_psn"] < pair["posted_psn"]
        and pair["next_psn"] - pair["oldest_psn"] < rules["window"]
    )


@njit(cache=True, nogil=True, _nrt=False)
def make_ready(heap, clock, due, ports, queue_pairs, number, channel, now):
    """Put a queue pair at the end of the round of the NIC port `channel`, and wake the port."""
    pair = queue_pairs[number]
    port = ports[channel]
    pair["state"] = QP_READY
    pair["next_ready"] = -1
    if port["ready_head"] < 0:
        port["ready_head"] = number
    else:
        queue_pairs[port["ready_tail"]]["next_ready"] = number
    port["ready_tail"] = number
    sender = len(ports) + channel
    if due[sender] == NEVER and not port["paused"]:
        schedule(heap, clock, due, max(now, port["free"] + port["shift"]), sender)


@njit(cache=True, nogil=True, _nrt=False)
def set_timer(heap, clock, due, rules, pair, number, now):
    """Let the queue pair's time-out run from `now`; the event is moved only when it comes."""
    timeout = rules["timeout"]
    for _ in range(pair["retries"] if rules["backoff"] != 1.0 else 0):
        timeout = np.int64(timeout * rules["backoff"])
    pair["deadline"] = now + timeout
    pair["progress"] = now
    if not pair["has_timer"]:
        pair["has_timer"] = 1
        first = timeout
        if rules["relabel"] > 0:
            first = min(first, rules["relabel"])
        schedule(heap, clock, due, now + first, clock["base_timeout"] + number)


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def next_data_packet(clock, rules, packets, queue_pairs, transfers, lists, number):
    """Return a packet with the queue pair's next PSN."""
    pair = queue_pairs[number]
    psn = pair["next_psn"]
    place = np.int64(pair["sending"])
    while psn < transfers[lists[place]]["first_psn"]:
        place -= 1
    transfer = transfers[lists[place]]
    while psn >= transfer["first_psn"] + transfer["packets"]:
        place += 1
        transfer = transfers[lists[place]]
    pair["sending"] = place
    made = take_packet(clock, packets)
    packet = packets[made]
    payload = rules["mtu"]
    flags = 0
    size = rules["header"]
    if psn == transfer["first_psn"]:
        flags |= IS_FIRST
        size += rules["first_header"]
    if psn == transfer["first_psn"] + transfer["packets"] - 1:
        flags |= IS_LAST
        payload = transfer["size"] - (transfer["packets"] - 1) * rules["mtu"]
    if psn < pair["highest_psn"]:
        flags |= IS_AGAIN
        pair["again"] += 1
    else:
        pair["highest_psn"] = psn + 1
    packet["kind"] = DATA
    packet["qp"] = number
    packet["psn"] = psn
    packet["size"] = size + payload
    packet["flags"] = flags
    pair["next_psn"] = psn + 1
    clock["sent"] += 1
    return made


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def after_sending(heap, clock, due, rules, ports, queue_pairs, number, channel, size, leaves, now):
    """Decide when the queue pair that has just sent may send again."""
    pair = queue_pairs[number]
    if not pair["has_timer"] or pair["next_psn"] - pair["oldest_psn"] == 1:
        set_timer(heap, clock, due, rules, pair, number, now)
    pair["state"] = QP_IDLE
    if pair["throttled"]:
        advance_rate(rules, pair, now)
        pair["bytes_since"] += size
        if pair["bytes_since"] >= rules["raise_bytes"]:
            pair["bytes_since"] = 0
            pair["raised_by_bytes"] += 1
            raise_rate(rules, pair, now)
        pair["may_send"] = now + np.int64(size / pair["rate"] + 0.5)
    if can_send(rules, pair):
        if pair["may_send"] > leaves:
            pair["state"] = QP_PACED
            wake = pace_time(rules, pair)
            schedule(heap, clock, due, wake, clock["base_pace"] + number)
        else:
            pair["state"] = QP_READY
            pair["next_ready"] = -1
            port = ports[channel]
            if port["ready_head"] < 0:
                port["ready_head"] = number
            else:
                queue_pairs[port["ready_tail"]]["next_ready"] = number
            port["ready_tail"] = number


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def answer(clock, rules, packets, pair, number, kind):
    """Return an ACK or NAK (PSN: the next expected) or a CNP of the receiver."""
    made = take_packet(clock, packets)
    packet = packets[made]
    packet["kind"] = kind
    packet["qp"] = number
    packet["psn"] = pair["expected_psn"]
    packet["size"] = rules["cnp_size"] if kind == CNP else rules["ack_size"]
    if kind == NAK:
        pair["naks"] += 1
    return made


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def accept_data(clock, rules, packets, queue_pairs, number):
    """Take in a data packet that has arrived; return what to answer: ACK, NAK or -1.

    The packet itself stays the caller's.
    """
    packet = packets[number]
    pair = queue_pairs[packet["qp"]]
    if packet["psn"] == pair["expected_psn"]:
        pair["expected_psn"] += 1
        pair["refused"] = 0
        clock["delivered"] += 1
        pair["unacknowledged"] += 1
        if packet["flags"] & IS_LAST or pair["unacknowledged"] >= rules["ack_every"]:
            pair["unacknowledged"] = 0
            return ACK
        return -1
    clock["refused"] += 1
    if packet["psn"] < pair["expected_psn"]:
        pair["unacknowledged"] = 0
        return ACK
    if pair["refused"]:
        return -1
    pair["refused"] = 1
    pair["unacknowledged"] = 0
    return NAK


@njit(cache=True, nogil=True, _nrt=False)
def accept_scattered(clock, rules, packets, queue_pairs, seen, number):
    """Take in a data packet where packets overtake each other; return ACK, NAK or -1.

    seen: (queue pairs * window) 1 for a PSN beyond the next expected one that is there already, at
    `psn % window`. A hole draws one NAK when `reorder` later PSNs have come.
    """
    packet = packets[number]
    pair = queue_pairs[packet["qp"]]
    window = rules["window"]
    first = np.int64(packet["qp"]) * window
    psn = np.int64(packet["psn"])
    if psn < pair["expected_psn"] or seen[first + psn % window]:
        clock["refused"] += 1
        return ACK if psn < pair["expected_psn"] else -1
    clock["delivered"] += 1
    pair["unacknowledged"] += 1
    if psn != pair["expected_psn"]:
        seen[first + psn % window] = 1
        if pair["refused"] or psn - pair["expected_psn"] < rules["reorder"]:
            return -1
        pair["refused"] = 1
        return NAK
    pair["refused"] = 0
    pair["expected_psn"] += 1
    while seen[first + pair["expected_psn"] % window]:
        seen[first + pair["expected_psn"] % window] = 0
        pair["expected_psn"] += 1
    if packet["flags"] & IS_LAST or pair["unacknowledged"] >= rules["ack_every"]:
        pair["unacknowledged"] = 0
        return ACK
    return -1


@njit(cache=True, nogil=True, _nrt=False)
def start_transfer(clock, queue_pairs, transfers, lists, number, now):
    """Mark a transfer as ready and post what its queue pair may post, in order."""
    transfers[number]["ready"] = 1
    transfers[number]["started"] = now
    pair = queue_pairs[transfers[number]["qp"]]
    while pair["posting"] < pair["list_end"]:
        transfer = transfers[lists[pair["posting"]]]
        if not transfer["ready"]:
            break
        pair["posted_psn"] += transfer["packets"]
        pair["posting"] += 1


@njit(cache=True, nogil=True, _nrt=False)
def finish_transfer(heap, clock, transfers, successor_start, successors, number, now):
    """Note that a transfer has arrived and plan the start of those that waited for it."""
    transfers[number]["finished"] = now
    clock["unfinished"] -= 1
    for place in range(successor_start[number], successor_start[number + 1]):
        follower = np.int64(successors[place])
        transfers[follower]["waits"] -= 1
        if transfers[follower]["waits"] == 0:
            push(heap, clock, now + transfers[follower]["delay"], clock["base_start"] + follower)


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def note_acknowledged(rules, pair, transfers, lists, psn, now):
    """Take in that everything below `psn` has arrived; return whether that is news."""
    if psn <= pair["oldest_psn"]:
        return False
    pair["oldest_psn"] = psn
    pair["retries"] = 0
    if pair["next_psn"] < psn:
        pair["next_psn"] = psn
    pair["deadline"] = now + rules["timeout"]
    pair["progress"] = now
    while pair["acknowledging"] < pair["list_end"]:
        transfer = transfers[lists[pair["acknowledging"]]]
        if transfer["first_psn"] + transfer["packets"] > psn:
            break
        transfer["acknowledged"] = now
        pair["acknowledging"] += 1
    return True


@njit(cache=True, nogil=True, _nrt=False)
def is_marked(packet):
    """Return whether a packet carries the mark of congestion."""
    return packet["flags"] & IS_MARKED != 0


@njit(cache=True, nogil=True, _nrt=False)
def fire_timeout(heap, clock, due, rules, pair, number, now):
    """Look at a queue pair's timer: 0 nothing to do, 1 sent back to its oldest PSN, 2 relabelled.

    When the retries are used up the queue pair fails and never sends again.
    """
    pair["has_timer"] = 0
    if pair["state"] == QP_FAILED or pair["oldest_psn"] == pair["highest_psn"]:
        return 0
    relabelled = pair["progress"] + rules["relabel"]
    if now < pair["deadline"] and (rules["relabel"] == 0 or now < relabelled):
        pair["has_timer"] = 1
        wake = pair["deadline"]
        if rules["relabel"] > 0:
            wake = min(wake, relabelled)
        schedule(heap, clock, due, wake, clock["base_timeout"] + number)
        return 0
    if now < pair["deadline"]:
        pair["has_timer"] = 1
        pair["progress"] = now
        pair["relabels"] += 1
        wake = min(pair["deadline"], now + rules["relabel"])
        schedule(heap, clock, due, wake, clock["base_timeout"] + number)
        pair["next_psn"] = pair["oldest_psn"]
        return 2
    pair["timeouts"] += 1
    if pair["retries"] >= rules["retries"]:
        pair["state"] = QP_FAILED
        return 0
    pair["retries"] += 1
    pair["next_psn"] = pair["oldest_psn"]
    set_timer(heap, clock, due, rules, pair, number, now)
    return 1
