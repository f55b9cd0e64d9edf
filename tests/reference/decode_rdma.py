"""RDMA in the slow decoder of `reference.decode`."""

import struct

from fabricscope import records as r
from reference.decode import Packet, read_gids, traffic_class

RC_OPERATIONS = {
    0: "", 1: "", 2: "", 3: "I", 4: "", 5: "I", 6: "R", 7: "", 8: "", 9: "I", 10: "R", 11: "RI",
    12: "R", 13: "A", 14: "", 15: "A", 16: "A", 17: "A", 18: "AK", 19: "T", 20: "T", 22: "E",
    23: "E",
}  # fmt: skip
SIZES = {"d": 4, "D": 8, "X": 4, "R": 16, "T": 28, "A": 4, "K": 8, "I": 4, "E": 4, "C": 16}


def extension_headers(opcode: int) -> str | None:
    """Return a letter for each header after the BTH in wire order, None if it is unknown.

    d RDETH, D DETH, X XRCETH, R RETH, T AtomicETH, A AETH, K AtomicAckETH, I ImmDt, E IETH,
    C the reserved bytes of a CNP.
    """
    if opcode == 0x81:
        return "C"
    transport, operation = opcode >> 5, opcode & 31
    headers = RC_OPERATIONS.get(operation)
    response = 13 <= operation <= 18
    if transport == 2 and operation == 21:
        return "dD"
    if headers is None:
        return None
    if transport == 0 or (transport == 1 and operation <= 11):
        return headers
    if transport == 2 and operation <= 20:
        return ("d" if response else "dD") + headers
    if transport == 3 and operation in (4, 5):
        return "D" + headers
    if transport == 5:
        return ("" if response else "X") + headers
    return None


def roce_v2(p: Packet) -> str:
    if p.limit - p.offset < 12:
        return ""
    o = p.need(12)
    headers = extension_headers(p.data[o])
    if headers is None or p.data[o + 1] & 15:
        return ""
    if o + 12 + sum(SIZES[h] for h in headers) > p.limit:
        return ""
    default_partition = p.at(o + 2, "H") & 0x7FFF == 0x7FFF
    if not default_partition and (p.data[o + 4] & 0x3F or p.data[o + 8] & 0x7F):
        return ""
    p.name("roce_v2")
    return bth(p)


def bth(p: Packet) -> str:
    o = p.offset
    row = p.row
    opcode, bits, queue, sequence = struct.unpack_from(">BBxxII", p.data, o)
    headers = extension_headers(opcode)
    pad = (bits >> 4) & 3
    row["opcode"], row["dest_qp"], row["psn"] = opcode, queue & 0xFFFFFF, sequence & 0xFFFFFF
    row["rdma_flags"] = (
        bool(bits & 0x80) * r.RDMA_SOLICITED
        | bool(bits & 0x40) * r.RDMA_MIGRATION
        | bool(sequence >> 31) * r.RDMA_ACK_REQUEST
        | bool(queue >> 31) * r.RDMA_FECN
        | bool(queue >> 30 & 1) * r.RDMA_BECN
        | pad << r.RDMA_PAD_SHIFT
        | ("A" in (headers or "")) * r.RDMA_HAS_AETH
    )
    if headers is None or bits & 15:
        p.flag(r.FLAG_MALFORMED)
    here = o + 12
    for header in headers or "":
        if p.visible(here + SIZES[header]):
            bth_extension(p, header, here)
        here += SIZES[header]
    payload = p.limit - here - pad - 4
    if payload < 0:
        p.flag(r.FLAG_MALFORMED)
    if len(p.data) < here <= p.limit:
        p.flag(r.FLAG_HEADER_CUT)
    p.offset = min(here, len(p.data))
    p.limit = p.offset + max(0, payload)
    return ""


def bth_extension(p: Packet, header: str, o: int) -> None:
    if header == "D":
        p.row["source_qp"] = p.at(o + 4, "I") & 0xFFFFFF
    elif header == "R":
        p.row["remote_address"], p.row["dma_length"] = p.at(o, "Q"), p.at(o + 12, "I")
    elif header == "T":
        p.row["remote_address"] = p.at(o, "Q")
    elif header == "A":
        p.row["aeth"] = p.at(o, "I")
    elif header in "IE":
        p.row["immediate"] = p.at(o, "I")


def grh(p: Packet) -> bool:
    o = p.need(40)
    first, length, following, hops = struct.unpack_from(">IHBB", p.data, o)
    if first >> 28 != 6:
        p.flag(r.FLAG_MALFORMED)
        return False
    traffic_class(p, (first >> 20) & 255)
    p.row["ip_id"], p.row["ttl"] = first & 0xFFFFF, hops
    read_gids(p, o)
    p.offset += 40
    p.claim(o + 40 + length)
    if following != 27:
        p.flag(r.FLAG_MALFORMED)
    return following == 27


def roce_v1(p: Packet) -> str:
    p.name("roce_v1")
    if not grh(p):
        return ""
    p.need(12)
    return bth(p)


def infiniband(p: Packet) -> str:
    o = p.need(8)
    p.name("infiniband")
    destination, words, source = struct.unpack_from(">xxHHH", p.data, o)
    p.row["src_lo"], p.row["dst_lo"] = source, destination
    p.offset += 8
    if words & 0x7FF < 2:
        p.flag(r.FLAG_MALFORMED)
        return ""
    p.claim(o + 4 * (words & 0x7FF))
    following = p.data[o + 1] & 3
    if following == 0:
        p.need(4)
        p.row["ethertype"] = p.at(o + 10, "H")
        p.offset += 4
        return "network"
    if following == 1:
        return "ipv6"
    if following == 3 and not grh(p):
        return ""
    p.need(12)
    return bth(p)
