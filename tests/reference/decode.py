"""Slow, obvious decoder of one packet: what `fabricscope.collectors.decode` must agree with.

Written from the protocol documents with `struct` and exceptions; a header that does not fit
raises `Cut`, which ends the packet. This file has the packet, IP and what
is over it; RDMA, tunnels and link layers are in the files beside it.
"""

import struct

from fabricscope import records as r

MAC = r.MAC_ADDRESS_HI
MAX_HEADERS = 64
VLAN_TYPES = (0x8100, 0x88A8, 0x9100, 0x9200)
EXTENSIONS = (0, 43, 44, 60, 135, 139, 140)
IP_NAMES = {
    1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 51: "ah", 58: "icmpv6",
    89: "ospf", 103: "pim", 112: "vrrp", 132: "sctp",
}  # fmt: skip
IP_NEXT = {
    4: "ipip", 6: "tcp", 17: "udp", 41: "ipip", 47: "gre", 51: "ah", 115: "l2tp_session",
    132: "sctp", 137: "mpls",
}  # fmt: skip


class Cut(Exception):
    """A header does not fit into the packet or into what was captured of it."""


class Packet:
    """One packet under decoding; `row` holds the columns, `limit` the end by its own lengths."""

    def __init__(self, data: bytes, wire_length: int) -> None:
        self.data = data
        self.offset = 0
        self.limit = max(wire_length, len(data))
        self.row = {name: 0 for name, _ in r.PACKET_DTYPES[7:]}
        self.row["vlan"] = r.NO_VLAN
        self.first_ip: int | None = None
        self.outer_ip: int | None = None
        self.tunnels: list[tuple[str, int]] = []
        self.excused = False
        self.extension = 0
        if len(data) < wire_length:
            self.flag(r.FLAG_TRUNCATED)

    def flag(self, bits: int) -> None:
        self.row["flags"] |= bits

    def at(self, offset: int, form: str) -> int:
        return struct.unpack_from(">" + form, self.data, offset)[0]

    def visible(self, stop: int) -> bool:
        return stop <= min(len(self.data), self.limit)

    def need(self, size: int) -> int:
        """Return the offset if `size` bytes there are readable, flag and raise otherwise."""
        if self.offset + size > self.limit:
            self.flag(r.FLAG_MALFORMED)
            raise Cut
        if self.offset + size > len(self.data):
            self.flag(r.FLAG_HEADER_CUT)
            raise Cut
        return self.offset

    def pass_over(self, size: int) -> None:
        """Move behind a header of `size` bytes; if cut, to the capture's end, and raise."""
        if self.offset + size > self.limit:
            self.flag(r.FLAG_MALFORMED)
            self.limit = self.offset
            raise Cut
        if self.offset + size > len(self.data):
            self.flag(r.FLAG_HEADER_CUT)
            payload = self.limit - self.offset - size
            self.offset = len(self.data)
            self.limit = self.offset + payload
            raise Cut
        self.offset += size

    def claim(self, limit: int) -> None:
        """Take over a length field; one that says more than the outer one is flagged."""
        if limit > self.limit:
            self.flag(r.FLAG_TRUNCATED if self.excused else r.FLAG_MALFORMED)
        self.limit = limit

    def name(self, protocol: str) -> None:
        self.row["protocol"] = r.PROTOCOLS.index(protocol)

    def is_named(self, protocol: str) -> bool:
        return r.PROTOCOLS[self.row["protocol"]] == protocol

    def tunnel(self, kind: str, identifier: int) -> None:
        if len(self.tunnels) == 8:
            self.flag(r.FLAG_TOO_DEEP)
            raise Cut
        self.tunnels.append((kind, identifier))
        if self.outer_ip is None:
            self.outer_ip = self.first_ip

    def addresses(self, source: int, destination: int) -> None:
        mask = (1 << 64) - 1
        self.row["src_hi"], self.row["src_lo"] = source >> 64, source & mask
        self.row["dst_hi"], self.row["dst_lo"] = destination >> 64, destination & mask

    def finish(self) -> dict[str, int]:
        row = self.row
        row["payload_offset"] = self.offset
        row["payload_length"] = max(0, self.limit - self.offset)
        for level, (kind, identifier) in enumerate(self.tunnels[:4]):
            row["tunnel_kinds"] |= r.TUNNELS.index(kind) << 8 * level
            half = "tunnel_ids_low" if level < 2 else "tunnel_ids_high"
            row[half] |= identifier << 32 * (level % 2)
        row["outer_ip_offset"] = self.outer_ip or 0
        return row


def ip_next(p: Packet, protocol: int, version: int) -> str:
    p.row["ip_protocol"] = protocol
    p.name(IP_NAMES.get(protocol, f"ipv{version}"))
    return IP_NEXT.get(protocol, "")


def start_ip(p: Packet, version: int) -> None:
    p.row["src_port"] = p.row["dst_port"] = 0
    p.row["ethertype"] = 0x0800 if version == 4 else 0x86DD
    if p.first_ip is None:
        p.first_ip = p.offset


def traffic_class(p: Packet, value: int) -> None:
    p.row["dscp"], p.row["ecn"] = divmod(value, 4)


def ipv4(p: Packet) -> str:
    o = p.need(20)
    version, words = divmod(p.data[o], 16)
    if version != 4:
        p.flag(r.FLAG_MALFORMED)
        return ""
    tos, total, p.row["ip_id"], fragment, p.row["ttl"], protocol = struct.unpack_from(
        ">xBHHHBB", p.data, o
    )
    traffic_class(p, tos)
    mapped = 0xFFFF << 32
    p.addresses(mapped | p.at(o + 12, "I"), mapped | p.at(o + 16, "I"))
    start_ip(p, 4)
    following = ip_next(p, protocol, 4)
    if words < 5:
        p.flag(r.FLAG_MALFORMED)
        p.offset += 20
        return ""
    if 0 < total < 4 * words:
        p.flag(r.FLAG_MALFORMED)
        p.offset = p.limit = o + 20
        return ""
    if total:
        p.claim(o + total)
    if words > 5:
        p.flag(r.FLAG_SLOW_PATH)
    p.pass_over(4 * words)
    more, position = fragment & 0x2000, fragment & 0x1FFF
    return following if whole(p, bool(more), position) else ""


def whole(p: Packet, more: bool, position: int) -> bool:
    """Flag a fragment; return whether the next header is in it."""
    if more or position:
        p.flag(r.FLAG_FRAGMENT)
        p.excused = True
    if position:
        p.flag(r.FLAG_LATER_FRAGMENT)
    return position == 0


def ipv6(p: Packet) -> str:
    o = p.need(40)
    first, length, following, hops = struct.unpack_from(">IHBB", p.data, o)
    if first >> 28 != 6:
        p.flag(r.FLAG_MALFORMED)
        return ""
    traffic_class(p, (first >> 20) & 255)
    p.row["ip_id"], p.row["ttl"] = first & 0xFFFFF, hops
    read_gids(p, o)
    start_ip(p, 6)
    p.offset += 40
    if length or following == 59:
        p.claim(o + 40 + length)
    if following in EXTENSIONS:
        p.flag(r.FLAG_SLOW_PATH)
    return ip6_next(p, following)


def read_gids(p: Packet, o: int) -> None:
    source = int.from_bytes(p.data[o + 8 : o + 24], "big")
    p.addresses(source, int.from_bytes(p.data[o + 24 : o + 40], "big"))


def ip6_next(p: Packet, following: int) -> str:
    if following not in EXTENSIONS:
        return ip_next(p, following, 6)
    p.row["ip_protocol"] = p.extension = following
    if not p.is_named("ah"):
        p.name("ipv6")
    return "extension"


def extension(p: Packet) -> str:
    o = p.need(8)
    following = p.row["ip_protocol"] = p.data[o]
    if p.extension == 44:
        field = p.at(o + 2, "H")
        p.offset += 8
        if not whole(p, bool(field & 1), field >> 3):
            ip_next(p, following, 6)
            return ""
    else:
        size = 8 + 8 * p.data[o + 1]
        if p.extension == 0 and p.data[o + 2 : o + 4] == b"\xc2\x04":
            jumbo = p.at(o + 4, "I")
            if jumbo >= size:
                p.claim(o + jumbo)
        p.pass_over(size)
    return ip6_next(p, following)


def ah(p: Packet) -> str:
    o = p.need(12)
    following, words = p.data[o], p.data[o + 1] + 2
    if words < 3:
        p.flag(r.FLAG_MALFORMED)
        return ""
    p.flag(r.FLAG_SLOW_PATH)
    p.pass_over(4 * words)
    if following in (4, 41):
        p.row["ip_protocol"] = following
        p.tunnel("ah", 0)
        return "ipv4" if following == 4 else "ipv6"
    if p.row["ethertype"] == 0x86DD:
        return ip6_next(p, following)
    return ip_next(p, following, 4)


def read_ports(p: Packet) -> None:
    if p.visible(p.offset + 4):
        p.row["src_port"] = p.at(p.offset, "H")
        p.row["dst_port"] = p.at(p.offset + 2, "H")


def tcp(p: Packet) -> str:
    read_ports(p)
    o = p.need(20)
    p.row["tcp_seq"], p.row["tcp_ack"] = p.at(o + 4, "I"), p.at(o + 8, "I")
    p.row["tcp_flags"] = p.data[o + 13]
    words = p.data[o + 12] >> 4
    if words < 5:
        p.flag(r.FLAG_MALFORMED)
        p.offset += 20
        return ""
    p.pass_over(4 * words)
    return ""


def sctp(p: Packet) -> str:
    read_ports(p)
    p.need(12)
    p.offset += 12
    return ""


UDP_PORTS = {
    4791: "roce_v2", 4789: "vxlan", 8472: "vxlan", 4790: "vxlan_gpe", 6081: "geneve",
    2152: "gtp_u", 6635: "mpls", 6080: "gue", 1701: "l2tp_udp",
}  # fmt: skip


def udp(p: Packet) -> str:
    read_ports(p)
    o = p.need(8)
    length = p.at(o + 4, "H")
    p.offset += 8
    if 0 < length < 8:
        p.flag(r.FLAG_MALFORMED)
        return ""
    if o + length > p.limit and not p.excused:
        p.flag(r.FLAG_MALFORMED)
    if length:
        p.limit = min(p.limit, o + length)
    if p.row["dst_port"] != 4791 and p.row["src_port"] == 2152:
        return "gtp_u"
    return UDP_PORTS.get(p.row["dst_port"], "")
