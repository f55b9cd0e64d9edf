"""Control protocols: SSH banners, DHCP, BGP OPEN, FTP, SIP and RTSP first lines."""

from typing import Final

from fabricscope.analyzers.dpi.extractors.text import (
    Detail,
    Head,
    ipv4_text,
    piece,
    printable,
    unsigned,
)

_DHCP_TYPES: Final = ("", "discover", "offer", "request", "decline", "ack", "nak", "release",
                      "inform")  # fmt: skip
_DHCPV6_TYPES: Final = ("", "solicit", "advertise", "request", "confirm", "renew", "rebind",
                        "reply", "release", "decline", "reconfigure", "information_request",
                        "relay_forward", "relay_reply")  # fmt: skip
_BGP_HEADER: Final = 19


def extract_ssh(request: Head, reply: Head) -> Detail:
    """Return both version banners."""
    detail: Detail = {}
    for key, head in (("banner", request), ("peer_banner", reply)):
        line = head.first.split(b"\n")[0].rstrip(b"\r")
        if line.startswith(b"SSH-"):
            detail[key] = printable(line, 255)
    return detail


def extract_dhcp(request: Head, reply: Head) -> Detail:
    """Return client, message type, host name and the addresses of a DHCP exchange."""
    detail: Detail = {}
    for message in (*request.messages, *reply.messages):
        if len(message) < 240:
            continue
        detail["client"] = message[28:34].hex(":")
        if any(message[16:20]):
            detail["offered"] = ipv4_text(message[16:20])
        at = 240
        while at + 2 <= len(message) and message[at] != 255:
            if message[at] == 0:
                at += 1
                continue
            size = message[at + 1]
            _read_dhcp_option(detail, message[at], message[at + 2 : at + 2 + size])
            at += 2 + size
    return detail


def _read_dhcp_option(detail: Detail, code: int, value: bytes) -> None:
    if code == 53 and value and 0 < value[0] < len(_DHCP_TYPES):
        detail["message"] = _DHCP_TYPES[value[0]]
    elif code == 12 and value:
        detail["host"] = printable(value)
    elif code == 60 and value:
        detail["vendor_class"] = printable(value)
    elif code == 50 and len(value) == 4:
        detail["requested"] = ipv4_text(value)
    elif code == 54 and len(value) == 4:
        detail["server"] = ipv4_text(value)


def extract_dhcpv6(request: Head, reply: Head) -> Detail:
    """Return the message type."""
    kind = unsigned(request.first, 0, 1)
    return {"message": _DHCPV6_TYPES[kind]} if 0 < kind < len(_DHCPV6_TYPES) else {}


def extract_bgp(request: Head, reply: Head) -> Detail:
    """Return AS, identifier and hold time of each side's OPEN."""
    detail: Detail = {}
    for prefix, data in (("", request.first), ("peer_", reply.first)):
        at = 0
        while at + _BGP_HEADER <= len(data):
            size = unsigned(data, at + 16, 2)
            if data[at + 18] == 1:
                number, hold_s = unsigned(data, at + 20, 2), unsigned(data, at + 22, 2)
                identifier = piece(data, at + 24, 4)
                wide = _four_octet_as(data[at + 29 : at + size])
                detail[prefix + "as"] = wide or number
                detail[prefix + "hold_time_s"] = hold_s
                detail[prefix + "id"] = ipv4_text(identifier)
                break
            if size < _BGP_HEADER:
                break
            at += size
    return detail


def _four_octet_as(parameters: bytes) -> int:
    """Return the number in capability 65 (RFC 6793), or 0."""
    at = 0
    while at + 2 <= len(parameters):
        kind, size = parameters[at], parameters[at + 1]
        if kind == 2:
            inner, end = at + 2, min(at + 2 + size, len(parameters))
            while inner + 2 <= end:
                code, length = parameters[inner], parameters[inner + 1]
                if code == 65 and length == 4:
                    return unsigned(parameters, inner + 2, 4)
                inner += 2 + length
        at += 2 + size
    return 0


def extract_first_line(request: Head, reply: Head) -> Detail:
    """Return the first line of each side of a text protocol."""
    detail: Detail = {}
    for key, head in (("first_line", request), ("reply_line", reply)):
        line = head.first.split(b"\n")[0].rstrip(b"\r")
        if line:
            detail[key] = printable(line)
    return detail
