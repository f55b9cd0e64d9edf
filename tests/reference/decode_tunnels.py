"""The tunnels of the slow decoder in `reference.decode`."""

from fabricscope import records as r
from reference.decode import VLAN_TYPES, Packet

KNOWN_TYPES = {
    0x0800, 0x86DD, 0x0806, 0x8915, 0x8847, 0x8848, 0x8863, 0x8864, 0x88CC, 0x8808, 0x8809, 0x88E5,
    0x88F7, 0x8902, 0x8926, 0x894F, *VLAN_TYPES,
}  # fmt: skip
NEXT_NUMBERS = {1: "ipv4", 2: "ipv6", 3: "ethernet", 4: "nsh", 5: "mpls"}


def ethernet_at(p: Packet, o: int) -> bool:
    if not p.visible(o + 14):
        return False
    value = p.at(o + 12, "H")
    return value in KNOWN_TYPES or (3 <= value <= 1500 and o + 14 + value <= p.limit)


def ip_at(p: Packet, o: int) -> str:
    if not p.visible(o + 6):
        return ""
    version, words = divmod(p.data[o], 16)
    room = p.limit - o
    if version == 4 and words >= 5 and room >= 20:
        total = p.at(o + 2, "H")
        return "ipv4" if total == 0 or p.excused or 20 <= total <= room else ""
    if version == 6 and room >= 40:
        return "ipv6" if p.excused or p.at(o + 4, "H") + 40 <= room else ""
    return ""


def room_for(p: Packet, size: int) -> bool:
    """Say whether a UDP payload can hold a header; if it was cut, flag and raise."""
    if p.limit - p.offset < size:
        return False
    p.need(size)
    return True


def ipip(p: Packet) -> str:
    p.tunnel("ipip", 0)
    return "ipv4" if p.row["ip_protocol"] == 4 else "ipv6"


def vxlan(p: Packet) -> str:
    o = p.offset
    if p.limit - o < 22 or not room_for(p, 8):
        return ""
    flags, reserved, network = p.data[o], p.data[o + 1 : o + 4], p.at(o + 4, "I")
    if flags & 0x7F != 0x08 or network & 255:
        return ""
    if (flags & 0x80 or any(reserved)) and not ethernet_at(p, o + 8):
        return ""
    if o + 22 <= len(p.data):
        value = p.at(o + 20, "H")
        if value < 0x600 and o + 22 + value > p.limit:
            return ""
    p.tunnel("vxlan", network >> 8)
    p.offset += 8
    return "ethernet"


def vxlan_gpe(p: Packet) -> str:
    if not room_for(p, 8):
        return ""
    o = p.offset
    flags, network = p.data[o], p.at(o + 4, "I")
    if flags & 0xF8 != 0x08 or network & 255 or any(p.data[o + 1 : o + 3]):
        return ""
    following = NEXT_NUMBERS.get(p.data[o + 3], "") if flags & 4 else "ethernet"
    if following:
        p.tunnel("vxlan_gpe", network >> 8)
        p.offset += 8
    return following


def geneve(p: Packet) -> str:
    if not room_for(p, 8):
        return ""
    o = p.offset
    version, words = divmod(p.data[o], 64)
    ethertype, network = p.at(o + 2, "H"), p.at(o + 4, "I")
    if version or p.data[o + 1] & 0x3F or network & 255:
        return ""
    if ethertype not in KNOWN_TYPES | {0x6558} or not room_for(p, 8 + 4 * words):
        return ""
    p.tunnel("geneve", network >> 8)
    p.offset += 8 + 4 * words
    if ethertype == 0x6558:
        return "ethernet"
    p.row["ethertype"] = ethertype
    return "network"


def nsh(p: Packet) -> str:
    o = p.need(8)
    head = p.at(o, "H")
    size = (head & 0x3F) * 4
    if head >> 14 or size < 8:
        p.flag(r.FLAG_MALFORMED)
        return ""
    following = NEXT_NUMBERS.get(p.data[o + 3], "")
    if following:
        p.need(size)
        p.tunnel("nsh", p.at(o + 4, "I"))
        p.offset += size
    return following


def gtp_u(p: Packet) -> str:
    if not room_for(p, 8):
        return ""
    o = p.offset
    if p.data[o] >> 3 != 6 or p.data[o + 1] != 255:
        return ""
    if o + 8 + p.at(o + 2, "H") > p.limit and not p.excused:
        return ""
    size = 8
    if p.data[o] & 7:
        size = 12
        if not room_for(p, size):
            return ""
        following = p.data[o + 11] if p.data[o] & 4 else 0
        while following:
            if not room_for(p, size + 1):
                return ""
            length = 4 * p.data[o + size]
            if not length or not room_for(p, size + length):
                return ""
            size += length
            following = p.data[o + size - 1]
    version = ip_at(p, o + size)
    if version:
        p.tunnel("gtp_u", p.at(o + 4, "I"))
        p.offset += size
    return version


def gue(p: Packet) -> str:
    o = p.offset
    if not p.visible(o + 4):
        return ""
    first, protocol = p.data[o], p.data[o + 1]
    following, size = "", 0
    if first >> 6 == 1:
        following = ip_at(p, o)
    elif first >> 5 == 0 and p.at(o + 2, "H") in (0, 0x8000):
        size = 4 + 4 * (first & 31)
        if protocol in (4, 41):
            following = ip_at(p, o + size)
        elif protocol == 47 and p.visible(o + size + 4):
            following = "" if p.at(o + size, "H") & 0xFFF else "gre"
    if following:
        p.tunnel("gue", 0)
        p.offset += size
    return following


def l2tp_session(p: Packet) -> str:
    o = p.offset
    if not p.visible(o + 4) or p.at(o, "I") == 0:
        return ""
    for frame in range(o + 4, o + 20, 4):
        if ethernet_at(p, frame) and p.at(frame + 12, "H") > 1500:
            p.tunnel("l2tp", p.at(o, "I"))
            p.offset = frame
            return "ethernet"
    return ""


def l2tp_udp(p: Packet) -> str:
    o = p.offset
    if not p.visible(o + 8):
        return ""
    flags = p.at(o, "H")
    if p.data[o : o + 4] == b"\0\3\0\0":
        p.offset += 4
        following = l2tp_session(p)
        if not following:
            p.offset = o
        return following
    if flags & 0x80FF != 2 or flags & 0x3400:
        return ""
    here = o + 2
    if flags & 0x4000:
        if o + p.at(here, "H") > p.limit:
            return ""
        here += 2
    session = p.at(here + 2, "H")
    here += 8 if flags & 0x0800 else 4
    if flags & 0x0200:
        if not p.visible(here + 2):
            return ""
        here += 2 + p.at(here, "H")
    if not p.visible(here + 1):
        return ""
    p.tunnel("l2tp", session)
    p.offset = here
    return "ppp"


def gre(p: Packet) -> str:
    o = p.need(4)
    flags, protocol = p.at(o, "H"), p.at(o + 2, "H")
    version = flags & 7
    if version > 1 or (version == 1 and protocol != 0x880B):
        p.flag(r.FLAG_MALFORMED)
        return ""
    size = 8 if flags & 0xC000 and version == 0 else 4
    key = 0
    if flags & 0x2000:
        size += 4
        p.need(size)
        key = p.at(o + size - 4, "I")
    sequenced = bool(flags & 0x1000)
    size += 4 * sequenced
    if version == 1:
        size += 4 * bool(flags & 0x0080)
        p.need(size)
        if not sequenced:
            return ""
        p.tunnel("gre", key & 0xFFFF)
        p.offset += size
        return "ppp"
    p.need(size)
    if flags & 0x4000:
        while True:
            p.need(size + 4)
            family, length = p.at(o + size, "H"), p.data[o + size + 3]
            size += 4 + (length if family or length else 0)
            if not family and not length:
                break
    return gre_payload(p, protocol, size, sequenced, key)


def gre_payload(p: Packet, protocol: int, size: int, sequenced: bool, key: int) -> str:
    here = p.offset + size
    following = {
        0x0800: "ipv4", 0x86DD: "ipv6", 0x6558: "ethernet", 0x8847: "mpls", 0x8848: "mpls",
        0x894F: "nsh", 0x880B: "ppp", 0x883E: "ipv4", 0x22EB: "erspan_3",
        0x88BE: "erspan_2" if sequenced else "erspan_1",
    }.get(protocol, "")  # fmt: skip
    if following and "erspan" not in following:
        p.tunnel("gre", key)
        if protocol == 0x883E and p.visible(here + 1) and p.data[here] >> 4 != 4:
            here += 4
    p.offset = here
    if following == "erspan_1":
        return mirrored(p, 0)
    return following


def mirrored(p: Packet, session: int) -> str:
    p.tunnel("erspan", session)
    p.excused = True
    return "ethernet"


def erspan_2(p: Packet) -> str:
    o = p.need(8)
    version = p.data[o] >> 4
    if version == 2:
        return "erspan_3"
    if version != 1:
        p.flag(r.FLAG_MALFORMED)
        return ""
    if p.data[o + 2] & 4:
        p.flag(r.FLAG_TRUNCATED)
    p.offset += 8
    return mirrored(p, p.at(o + 2, "H") & 0x3FF)


def erspan_3(p: Packet) -> str:
    o = p.need(12)
    if p.data[o] >> 4 != 2:
        p.flag(r.FLAG_MALFORMED)
        return ""
    size = 20 if p.data[o + 11] & 1 else 12
    p.need(size)
    if p.data[o + 2] & 4:
        p.flag(r.FLAG_TRUNCATED)
    if p.data[o + 11] & 8:
        p.flag(r.FLAG_EGRESS)
    p.offset += size
    mirrored(p, p.at(o + 2, "H") & 0x3FF)
    frame_type = (p.data[o + 10] & 0x7F) >> 2
    if frame_type == 0:
        return "ethernet"
    return "version" if frame_type == 2 else ""


def mpls(p: Packet) -> str:
    o = p.offset
    over_udp = p.is_named("udp")
    size = 0
    while True:
        if over_udp and o + size + 4 > p.limit:
            return ""
        p.need(size + 4)
        size += 4
        if p.data[o + size - 2] & 1:
            break
    here = o + size
    following = ip_at(p, here)
    if not following and p.visible(here + 1):
        for frame in (here + 4, here) if p.data[here] < 16 else (here,):
            if ethernet_at(p, frame):
                following, here = "ethernet", frame
                break
    if following:
        p.tunnel("mpls", p.at(o, "I") >> 12)
        p.offset = here
    elif not over_udp:
        p.name("mpls")
        p.offset = here
    return following
