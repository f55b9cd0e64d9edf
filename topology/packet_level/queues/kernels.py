"""Kernels of ports: the queue of events, buffers, marking, pauses, and packets on the wire.

A port's packets form one list: those on the wire, the one that is being sent, and those that
wait. Each knows when its last bit leaves, because a FIFO fixes that on entry; only a pause, a
priority packet or a changed rate moves the times of those that wait. So a packet costs one event
a hop, its arrival, and the heap holds one entry a busy port.

Tables are those of `layout.Network`; nothing is allocated here.
"""

import numpy as np
from numba import njit

from fabricscope.topology.packet_level.events.kernels import (
    push,
    schedule,
)
from fabricscope.topology.packet_level.layout import (
    CNP,
    DATA,
    IS_MARKED,
    NEVER,
    NO_BUFFER,
    PAUSE,
)
from fabricscope.topology.routing.kernels import (
    mix,
)


@njit(cache=True, nogil=True, _nrt=False)
def take_packet(clock, packets):
    """Return a free packet; the loop sees to it that there is one."""
    number = clock["free_packet"]
    clock["free_packet"] = np.int64(packets[number]["next"])
    clock["free_packets"] -= 1
    clock["created"] += 1
    packet = packets[number]
    packet["next"] = -1
    packet["flags"] = 0
    packet["hop"] = 0
    packet["inbound"] = -1
    return number


@njit(cache=True, nogil=True, _nrt=False)
def free_packet(clock, packets, number):
    """Give a packet back."""
    packets[number]["next"] = clock["free_packet"]
    clock["free_packet"] = number
    clock["free_packets"] += 1
    clock["consumed"] += 1


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def draw(seed, time, channel):
    """Return a float in [0, 1) that depends on nothing but its arguments."""
    value = mix(seed + np.uint64(time) * np.uint64(0x9E3779B97F4A7C15))
    value = mix(value + np.uint64(channel))
    return np.float64(value >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def give_back(ports, devices, packet, port):
    """Give back the buffer of a packet whose last bit has left `port`."""
    if packet["kind"] < CNP:
        size = packet["size"]
        port["queued"] -= size
        if port["switched"]:
            ports[packet["inbound"]]["ingress"] -= size
            devices[port["source"]]["buffered"] -= size


@njit(cache=True, nogil=True, _nrt=False)
def drain_port(ports, devices, packets, port, now):
    """Give buffers back for the packets whose last bit has left `port` by `now`.

    This is put off until the packet arrives or somebody needs to know: until then the counts are
    upper bounds, and a threshold above an upper bound has not been reached.
    """
    number = np.int64(port["drain"])
    time = now - port["shift"]
    while number >= 0:
        packet = packets[number]
        if packet["leaves"] > time:
            break
        give_back(ports, devices, packet, port)
        number = np.int64(packet["next"])
    port["drain"] = number


@njit(cache=True, nogil=True, _nrt=False)
def drain_device(ports, devices, packets, out_channels, device, now):
    """Give buffers back for everything that has left `device` by `now`."""
    for place in range(devices[device]["out_start"], devices[device]["out_end"]):
        drain_port(ports, devices, packets, ports[out_channels[place]], now)


@njit(cache=True, nogil=True, _nrt=False)
def insert_first(heap, clock, due, ports, devices, packets, channel, number, now):
    """Queue a priority packet: behind the one being sent and other priority packets only.

    Those behind it leave later: the port's clock is set back, and the few before it, on the wire,
    are moved on that clock instead.
    """
    port = ports[channel]
    drain_port(ports, devices, packets, port, now)
    packet = packets[number]
    took = np.int64(packet["size"] * port["ps_per_byte"] + 0.5)
    before = np.int64(-1)
    following = np.int64(port["head"])
    waiting = np.int64(port["drain"])
    while following >= 0 and following != waiting:
        before = following
        following = np.int64(packets[following]["next"])
    if following >= 0 and packets[following]["leaves"] < NEVER:
        before = following
        following = np.int64(packets[following]["next"])
        while (
            following >= 0
            and packets[following]["kind"] >= CNP
            and packets[following]["leaves"] < NEVER
        ):
            before = following
            following = np.int64(packets[following]["next"])
        packet["leaves"] = packets[before]["leaves"] + took
    else:
        packet["leaves"] = max(now - port["shift"], port["free"]) + took
    packet["next"] = following
    if waiting < 0 or following == waiting:
        port["drain"] = number
    if following < 0:
        port["tail"] = number
    if before < 0:
        port["head"] = number
        schedule(heap, clock, due, packet["leaves"] + port["lag"], channel)
    else:
        packets[before]["next"] = number
    if following >= 0 and packets[following]["leaves"] < NEVER:
        port["shift"] += took
        port["lag"] += took
        earlier = np.int64(port["head"])
        while earlier != following:
            packets[earlier]["leaves"] -= took
            earlier = np.int64(packets[earlier]["next"])
    else:
        port["free"] = packet["leaves"]


@njit(cache=True, nogil=True, _nrt=False)
def retime(heap, clock, due, ports, devices, packets, channel, now):
    """Set the times of the packets that wait at a port, after a pause or another rate."""
    port = ports[channel]
    drain_port(ports, devices, packets, port, now)
    number = np.int64(port["drain"])
    time = max(now - port["shift"], port["free"])
    if number >= 0 and packets[number]["leaves"] < NEVER:
        time = packets[number]["leaves"]
        number = np.int64(packets[number]["next"])
    while number >= 0:
        packet = packets[number]
        if port["paused"] and packet["kind"] < CNP:
            packet["leaves"] = NEVER
        else:
            time += np.int64(packet["size"] * port["ps_per_byte"] + 0.5)
            packet["leaves"] = time
        number = np.int64(packet["next"])
    port["free"] = time
    head = np.int64(port["head"])
    if head >= 0:
        leaves = packets[head]["leaves"]
        if leaves < NEVER:
            schedule(heap, clock, due, leaves + port["lag"], channel)
        else:
            due[channel] = NEVER


@njit(cache=True, nogil=True, _nrt=False)
def send_pause(heap, clock, due, rules, ports, devices, packets, inbound, stop, now):
    """Let the target of channel `inbound` ask its neighbour to stop (1) or to go on (0)."""
    number = take_packet(clock, packets)
    packet = packets[number]
    packet["kind"] = PAUSE
    packet["qp"] = -1
    packet["psn"] = stop
    packet["size"] = rules["pause_size"]
    ports[inbound]["asked"] = stop
    clock["pauses"] += stop
    insert_first(heap, clock, due, ports, devices, packets, inbound ^ 1, number, now)


@njit(cache=True, nogil=True, _nrt=False)
def ask_to_pause(heap, clock, due, rules, ports, devices, packets, out_channels, inbound, now):
    """Ask for a pause on `inbound` if its packets hold more than their share of the buffer."""
    number = np.int64(ports[inbound]["target"])
    device = devices[number]
    drain_device(ports, devices, packets, out_channels, number, now)
    free = device["shared"] - device["buffered"]
    if ports[inbound]["ingress"] <= rules["pause_alpha"] * max(free, 0):
        return
    send_pause(heap, clock, due, rules, ports, devices, packets, inbound, 1, now)
    device["asking"] += 1
    plan_check(heap, clock, due, rules, ports, devices, packets, out_channels, number, now)


@njit(cache=True, nogil=True, _nrt=False)
def plan_check(heap, clock, due, rules, ports, devices, packets, out_channels, number, now):
    """Look at `number` again when a packet leaves it, but not before a pause can end.

    No ingress can fall faster than all busy ports of the device send, plus what each is sending
    at the moment, and the threshold rises at most `pause_alpha` times as fast.
    """
    device = devices[number]
    threshold = rules["pause_alpha"] * max(device["shared"] - device["buffered"], 0)
    soonest = NEVER
    rate = 0.0
    at_once = 0.0
    least = 1e18
    for place in range(device["out_start"], device["out_end"]):
        channel = np.int64(out_channels[place])
        port = ports[channel]
        inbound = ports[channel ^ 1]
        if inbound["asked"]:
            resume_at = max(threshold - rules["resume_offset"], 0.0)
            least = min(least, inbound["ingress"] - resume_at)
        if port["drain"] >= 0:
            sending = packets[port["drain"]]
            soonest = min(soonest, sending["leaves"] + port["shift"])
            at_once += sending["size"]
            rate += 1.0 / port["ps_per_byte"]
    if rate > 0.0 and least < 1e18 and soonest < NEVER:
        bound = now + np.int64((least / (1.0 + rules["pause_alpha"]) - at_once) / rate)
        soonest = max(soonest, bound)
    if soonest < NEVER:
        schedule(heap, clock, due, max(soonest, now + 1), clock["base_check"] + number)
    else:
        due[clock["base_check"] + number] = NEVER


@njit(cache=True, nogil=True, _nrt=False)
def check_pauses(heap, clock, due, rules, ports, devices, packets, out_channels, number, now):
    """Let neighbours of device `number` go on whose packets have made room."""
    device = devices[number]
    drain_device(ports, devices, packets, out_channels, number, now)
    threshold = rules["pause_alpha"] * max(device["shared"] - device["buffered"], 0)
    for place in range(device["out_start"], device["out_end"]):
        inbound = np.int64(out_channels[place]) ^ 1
        port = ports[inbound]
        if not port["asked"]:
            continue
        if port["ingress"] <= max(threshold - rules["resume_offset"], 0.0):
            device["asking"] -= 1
            send_pause(heap, clock, due, rules, ports, devices, packets, inbound, 0, now)
    if device["asking"] > 0:
        plan_check(heap, clock, due, rules, ports, devices, packets, out_channels, number, now)


@njit(cache=True, nogil=True, _nrt=False)
def obey_pause(heap, clock, due, rules, ports, devices, packets, out_channels, channel, stop, now):
    """Stop or resume the port that sends into `channel`, as its neighbour asked."""
    port = ports[channel]
    if port["paused"] == stop:
        return
    drain_port(ports, devices, packets, port, now)
    port["paused"] = stop
    if stop:
        port["paused_since"] = now
    else:
        port["paused_total"] += now - port["paused_since"]
    retime(heap, clock, due, ports, devices, packets, channel, now)
    source = np.int64(port["source"])
    if stop:
        return
    if devices[source]["asking"] > 0:
        schedule(heap, clock, due, now, clock["base_check"] + source)
    sender = len(ports) + channel
    if port["ready_head"] >= 0 and due[sender] == NEVER:
        schedule(heap, clock, due, max(now, port["free"] + port["shift"]), sender)


@njit(cache=True, nogil=True, _nrt=False)
def lose(clock, packets, queue_pairs, lost, number, cause, now):
    """Count a packet that the network loses, and free it."""
    packet = packets[number]
    lost[cause] += 1
    clock["lost"] += 1
    if packet["kind"] == DATA:
        clock["lost_data"] += 1
        clock["lost_bytes"] += packet["size"]
        if clock["first_loss"] < 0:
            clock["first_loss"] = now
        clock["last_loss"] = now
    if packet["qp"] >= 0:
        queue_pairs[packet["qp"]]["lost"] += 1
    free_packet(clock, packets, number)


@njit(cache=True, nogil=True, _nrt=False)
def has_room(rules, port, device, size):
    """Return whether `size` bytes more may wait at `port` of `device`."""
    free = device["buffer"] - device["buffered"]
    if rules["lossless"]:
        return size <= free
    return size <= free and port["queued"] + size <= rules["drop_alpha"] * free


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def admit(clock, rules, ports, devices, packets, out_channels, channel, number, inbound, now):
    """Return whether the switch has room for a packet; take the room and mark the packet."""
    port = ports[channel]
    packet = packets[number]
    device = devices[port["source"]]
    size = packet["size"]
    if not has_room(rules, port, device, size):
        drain_device(ports, devices, packets, out_channels, np.int64(port["source"]), now)
        if not has_room(rules, port, device, size):
            return False
    if port["queued"] > port["mark_from"]:
        drain_port(ports, devices, packets, port, now)
    if port["queued"] > port["mark_from"] and rules["marking"] and packet["kind"] == DATA:
        span = port["mark_all"] - port["mark_from"]
        share = rules["mark_most"] * (port["queued"] - port["mark_from"]) / span
        if port["queued"] >= port["mark_all"] or draw(clock["seed"], now, channel) < share:
            packet["flags"] |= IS_MARKED
            clock["marked"] += 1
    device["buffered"] += size
    packet["inbound"] = inbound
    ports[inbound]["ingress"] += size
    return True


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def enqueue(
    heap, clock, due, rules, ports, devices, packets, out_channels, queue_pairs, lost,
    channel, number, inbound, now,
):  # fmt: skip
    """Queue a packet at the port that sends into `channel`; `inbound`: where it came in, or -1."""
    port = ports[channel]
    packet = packets[number]
    accepted = True
    if port["switched"]:
        accepted = admit(
            clock, rules, ports, devices, packets, out_channels, channel, number, inbound, now
        )
    if accepted:
        size = np.int64(packet["size"])
        port["queued"] += size
        packet["next"] = -1
        if port["paused"]:
            packet["leaves"] = NEVER
        else:
            leaves = max(now - port["shift"], port["free"]) + np.int64(
                size * port["ps_per_byte"] + 0.5
            )
            port["free"] = leaves
            packet["leaves"] = leaves
        if port["drain"] < 0:
            port["drain"] = number
        if port["head"] < 0:
            port["head"] = number
            if not port["paused"]:
                time = packet["leaves"] + port["lag"]
                due[channel] = time
                push(heap, clock, time, channel)
        else:
            packets[port["tail"]]["next"] = number
        port["tail"] = number
        if port["switched"] and rules["lossless"]:
            device = devices[port["source"]]
            free = max(device["shared"] - device["buffered"], 0)
            arrived = ports[inbound]
            if arrived["ingress"] > rules["pause_alpha"] * free and not arrived["asked"]:
                ask_to_pause(
                    heap, clock, due, rules, ports, devices, packets, out_channels, inbound, now
                )
    else:
        lose(clock, packets, queue_pairs, lost, number, NO_BUFFER, now)
