"""LLDP neighbours: chassis, port and system of who sent the frame (IEEE 802.1AB)."""

from fabricscope.analyzers.dpi.extractors.text import Detail, ipv4_text, printable, unsigned


def parse_neighbour(payload: bytes) -> Detail:
    """Return what an LLDPDU says about its sender; what is cut off is left out."""
    detail: Detail = {}
    at = 0
    try:
        for _ in range(64):
            header = unsigned(payload, at, 2)
            kind, size = header >> 9, header & 0x1FF
            value = payload[at + 2 : at + 2 + size]
            at += 2 + size
            if kind == 0 or len(value) < size:
                break
            _add(detail, kind, value)
    except ValueError:
        pass
    return detail if "chassis" in detail or "port" in detail else {}


def _add(detail: Detail, kind: int, value: bytes) -> None:
    if kind == 1 and value:
        detail["chassis"] = _identifier(value, mac=4, address=5)
    elif kind == 2 and value:
        detail["port"] = _identifier(value, mac=3, address=4)
    elif kind == 3 and len(value) == 2:
        detail["ttl_s"] = int.from_bytes(value, "big")
    elif kind == 4:
        detail["port_description"] = printable(value)
    elif kind == 5:
        detail["system_name"] = printable(value)
    elif kind == 6:
        detail["system_description"] = printable(value)
    elif kind == 8 and len(value) >= 6 and value[1] == 1:
        detail["management_address"] = ipv4_text(value[2:6])
    elif kind == 127 and value[:3] == b"\x00\x80\xc2" and len(value) >= 5:
        if value[3] == 0x0B:
            detail["pfc_priorities"] = [str(p) for p in range(8) if value[5:6] and
                                        value[5] >> p & 1]  # fmt: skip
        elif value[3] == 1 and len(value) >= 6:
            detail["port_vlan"] = int.from_bytes(value[4:6], "big")


def _identifier(value: bytes, *, mac: int, address: int) -> str:
    """Return a chassis or port id in the text form of its subtype."""
    subtype, rest = value[0], value[1:]
    if subtype == mac and len(rest) == 6:
        return rest.hex(":")
    if subtype == address and len(rest) == 5 and rest[0] == 1:
        return ipv4_text(rest[1:])
    return printable(rest)
