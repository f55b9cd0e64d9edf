"""The slow twin of the link kernel: counters of each host by dictionaries."""

from collections import defaultdict
from ipaddress import ip_address

Packet = dict[str, int]


def count_slowly(packets: list[Packet], start_ns: int) -> dict[tuple[int, int], list[dict]]:
    """Return by address the counters of what a host sent and received, with 10 ms bins."""
    hosts: dict[tuple[int, int], list[dict]] = defaultdict(
        lambda: [{"bins": defaultdict(int), **dict.fromkeys(NAMES, 0)} for _ in range(2)]
    )
    for packet in packets:
        if packet["skip"]:
            continue
        for direction, end in enumerate(("src", "dst")):
            address = packet[f"{end}_hi"], packet[f"{end}_lo"]
            if is_group(*address, rdma=packet["rdma"] == 1):
                continue
            counts = hosts[address][direction]
            counts["packets"] += 1
            counts["bytes"] += packet["size"]
            counts["rdma_packets"] += packet["rdma"]
            counts["ecn_capable"] += packet["ecn"] > 0
            counts["ecn_marked"] += packet["ecn"] == 3
            counts["cnps"] += direction == 1 and packet["rdma"] and packet["opcode"] == 0x81
            place = min(max((packet["time"] - start_ns) // 10_000_000, 0), 99)
            counts["bins"][place] += packet["size"]
    return hosts


def is_group(hi: int, lo: int, *, rdma: bool = True) -> bool:
    """Return whether an address belongs to no single host."""
    if hi == 0 and lo < 1 << 16:  # an InfiniBand LID, 0 for none
        return lo == 0 or lo >= 0xC000
    address = ip_address((hi << 64 | lo).to_bytes(16))
    address = address.ipv4_mapped or address  # type: ignore[union-attr]
    if address.version == 4:
        return int(address) == 0 or int(address) >= int(ip_address("224.0.0.0"))
    return address.is_multicast or address.is_unspecified or (address.is_link_local and not rdma)


NAMES = ("packets", "bytes", "rdma_packets", "ecn_capable", "ecn_marked", "cnps")
