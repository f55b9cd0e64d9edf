"""The lower half of the slow decoder: link layers, and the loop that walks the headers."""

from fabricscope import records as r
from reference import decode as upper
from reference import decode_rdma as rdma
from reference import decode_tunnels as tunnels
from reference.decode import MAC, MAX_HEADERS, VLAN_TYPES, Cut, Packet

FIRST = {
    0: "loopback", 1: "ethernet", 9: "ppp", 12: "version", 14: "version", 50: "ppp",
    101: "version", 104: "hdlc", 108: "loopback", 113: "cooked_v1", 228: "ipv4", 229: "ipv6",
    247: "infiniband", 276: "cooked_v2",
}  # fmt: skip


def decode_packet(data: bytes, wire_length: int, link_type: int) -> dict[str, int]:
    """Return the decoder's columns for one captured packet, as if it lay at offset 0."""
    p = Packet(data, wire_length)
    step = FIRST.get(link_type, "")
    try:
        for _ in range(MAX_HEADERS):
            if not step:
                break
            step = find(step)(p)
        else:
            p.flag(r.FLAG_TOO_DEEP)
    except Cut:
        pass
    return p.finish()


def find(step: str):
    """Return the function that decodes the header called `step`."""
    for module in (globals(), vars(upper), vars(rdma), vars(tunnels)):
        if step in module:
            return module[step]
    raise KeyError(step)


def ethernet(p: Packet) -> str:
    o = p.need(14)
    keep = ("src_port", "dst_port", "protocol", "ip_protocol", "dscp", "ecn", "ttl", "ip_id")
    p.row.update(dict.fromkeys(keep, 0))
    mac = int.from_bytes
    p.addresses(
        MAC << 64 | mac(p.data[o + 6 : o + 12], "big"), MAC << 64 | mac(p.data[o : o + 6], "big")
    )
    p.row["ethertype"] = p.at(o + 12, "H")
    p.offset += 14
    return network(p)


def network(p: Packet) -> str:
    while p.row["ethertype"] in VLAN_TYPES:
        o = p.need(4)
        if [kind for kind, _ in p.tunnels] in ([], ["vntag"]):
            p.row["vlan"] = p.at(o, "H") & 0xFFF
        p.row["ethertype"] = p.at(o + 2, "H")
        p.offset += 4
    ethertype = p.row["ethertype"]
    if ethertype <= 1500:
        if p.offset + ethertype > p.limit:
            p.flag(r.FLAG_MALFORMED)
        shorten(p, ethertype)
        p.row["ethertype"] = 0
        return "llc"
    steps = {
        0x0800: "ipv4", 0x86DD: "ipv6", 0x8915: "roce_v1", 0x8847: "mpls", 0x8848: "mpls",
        0x8926: "vn_tag", 0x894F: "nsh", 0x8864: "pppoe",
    }  # fmt: skip
    if ethertype in steps:
        return steps[ethertype]
    link_local(p, ethertype)
    return ""


def link_local(p: Packet, ethertype: int) -> None:
    if ethertype == 0x0806:
        p.name("arp")
        o = p.need(8)
        size = 8 + 2 * (p.data[o + 4] + p.data[o + 5])
        if o + size > p.limit:
            p.flag(r.FLAG_MALFORMED)
        shorten(p, size)
    elif ethertype == 0x8808:
        p.name("mac_control")
        opcode = p.at(p.need(2), "H")
        p.offset += 2
        for value, protocol, size in ((1, "pause", 2), (0x0101, "pfc", 18)):
            if opcode == value:
                p.name(protocol)
                shorten(p, size)
    elif ethertype == 0x88CC:
        p.name("lldp")
    elif ethertype == 0x8809 and p.visible(p.offset + 1) and p.data[p.offset] == 1:
        p.name("lacp")
    elif ethertype == 0x88F7:
        p.name("ptp")
        if p.visible(p.offset + 4):
            shorten(p, p.at(p.offset + 2, "H"))


def shorten(p: Packet, size: int) -> None:
    p.limit = min(p.limit, p.offset + size)


def llc(p: Packet) -> str:
    p.name("llc")
    o = p.need(3)
    access_points, control = p.data[o : o + 2], p.data[o + 2]
    if access_points == b"\xaa\xaa" and control == 3:
        o = p.need(8)
        organization, protocol = p.data[o + 3 : o + 6], p.at(o + 6, "H")
        p.offset += 8
        if organization == b"\0\0\x0c" and protocol == 0x010B:
            p.name("stp")
        elif organization in (b"\0\0\0", b"\0\0\xf8") and protocol > 1500:
            p.name("other")
            p.row["ethertype"] = protocol
            return "network"
        return ""
    if access_points in (b"\x42\x42", b"\xfe\xfe"):
        p.name("stp" if access_points == b"\x42\x42" else "isis")
        p.offset += 3
    elif access_points != b"\xff\xff":
        p.offset += 3
        if control & 3 != 3:
            p.need(1)
            p.offset += 1
    return ""


def vn_tag(p: Packet) -> str:
    o = p.need(6)
    p.tunnel("vntag", p.at(o, "H") & 0x3FFF)
    p.row["ethertype"] = p.at(o + 4, "H")
    p.offset += 6
    return "network"


def cooked_v1(p: Packet) -> str:
    o = p.need(16)
    p.offset += 16
    sender(p, o + 6, p.at(o + 4, "H"))
    return cooked(p, p.at(o + 2, "H"), p.at(o + 14, "H"))


def cooked_v2(p: Packet) -> str:
    o = p.need(20)
    p.offset += 20
    sender(p, o + 12, p.data[o + 11])
    return cooked(p, p.at(o + 8, "H"), p.at(o, "H"))


def sender(p: Packet, o: int, size: int) -> None:
    address = int.from_bytes(p.data[o : o + 6], "big") if size == 6 else 0
    p.addresses(MAC << 64 | address, MAC << 64)


def cooked(p: Packet, hardware: int, protocol: int) -> str:
    if hardware in (824, 801, 802, 803):
        return ""
    if protocol == 4:
        return "llc"
    if protocol > 1500:
        p.row["ethertype"] = protocol
        return "network"
    return ""


def version(p: Packet) -> str:
    o = p.need(1)
    number = p.data[o] >> 4
    if number not in (4, 6):
        return ""
    p.row["ethertype"] = {4: 0x0800, 6: 0x86DD}[number]
    return f"ipv{number}"


def loopback(p: Packet) -> str:
    o = p.need(4)
    families = {2: "ipv4", 10: "ipv6", 24: "ipv6", 28: "ipv6", 30: "ipv6"}
    word = p.data[o : o + 4]
    if any(word[:2]) and any(word[2:]):
        return ""
    p.offset += 4
    return families.get(int.from_bytes(word, "little" if any(word[:2]) else "big"), "")


def hdlc(p: Packet) -> str:
    o = p.need(4)
    if p.data[o : o + 2] == b"\xff\x03":
        return ppp(p)
    p.offset += 4
    if p.at(o + 2, "H") <= 1500:
        return ""
    p.row["ethertype"] = p.at(o + 2, "H")
    return "network"


def ppp(p: Packet) -> str:
    o = p.need(2)
    if p.data[o : o + 2] == b"\xff\x03":
        p.offset += 2
        o = p.need(2)
    size = 1 if p.data[o] & 1 else 2
    protocol = int.from_bytes(p.data[o : o + size], "big")
    p.offset += size
    return {0x21: "ipv4", 0x57: "ipv6", 0x281: "mpls"}.get(protocol, "")


def pppoe(p: Packet) -> str:
    o = p.need(6)
    if p.data[o : o + 2] != b"\x11\x00":
        p.flag(r.FLAG_MALFORMED)
        return ""
    p.offset += 6
    length = p.at(o + 4, "H")
    if p.offset + length > p.limit:
        p.flag(r.FLAG_MALFORMED)
    shorten(p, length)
    return ppp(p)
