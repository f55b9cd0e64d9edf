"""Checks, after each event of a debug run, that no packet and no byte of a buffer got lost unseen.

Slow on purpose: everything is counted anew from the ports' lists.
"""

from fabricscope.topology.packet_level import layout
from fabricscope.topology.packet_level.layout import NEVER, Network

__all__ = ["check_conservation"]


def check_conservation(network: Network) -> None:
    """Raise AssertionError, saying which sum is wrong, unless everything is accounted for.

    Packets made are consumed or in exactly one port's list; data sent are delivered, refused by
    the receiver, lost or queued; buffers hold what waits; and no port's packets overtake.
    """
    clock, packets = network.clock[0], network.packets
    ingress = [0] * len(network.ports)
    buffered = [0] * len(network.devices)
    seen: set[int] = set()
    data = 0
    for channel, port in enumerate(network.ports):
        number = int(port["head"])
        waiting, queued, before = False, 0, -NEVER
        while number >= 0:
            packet = packets[number]
            assert number not in seen, f"packet {number} is in two places"
            seen.add(number)
            data += int(packet["kind"] == layout.DATA)
            waiting = waiting or number == port["drain"]
            size = int(packet["size"])
            if waiting and packet["kind"] < layout.CNP:
                queued += size
                if port["switched"]:
                    ingress[packet["inbound"]] += size
            assert packet["leaves"] >= before, f"a packet overtakes on channel {channel}"
            before = packet["leaves"]
            assert packet["next"] >= 0 or port["tail"] == number, f"channel {channel}: wrong tail"
            number = int(packet["next"])
        assert queued == port["queued"], f"channel {channel} counts {port['queued']}, has {queued}"
        if port["switched"]:
            buffered[port["source"]] += queued
    made = int(clock["created"] - clock["consumed"])
    assert made == len(seen), f"{made} packets are under way, {len(seen)} are queued"
    assert made + clock["free_packets"] == len(packets), "a row of packets is neither used nor free"
    known = int(clock["delivered"] + clock["refused"] + clock["lost_data"])
    assert clock["sent"] == known + data, f"{clock['sent']} sent, {known} known, {data} queued"
    for channel, port in enumerate(network.ports):
        assert port["ingress"] == ingress[channel], f"channel {channel}: wrong ingress"
    for number, device in enumerate(network.devices):
        assert device["buffered"] == buffered[number], f"device {number}: wrong buffer"
    assert network.lost.sum() == clock["lost"], "losses by cause do not add up"
