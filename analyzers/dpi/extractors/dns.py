"""DNS: the question, the response code, and addresses in answers (RFC 1035)."""

import ipaddress
from typing import Final, NamedTuple

from fabricscope.analyzers.dpi.extractors.text import Detail, Head, piece, printable, unsigned

_TYPES: Final = {
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV",
    35: "NAPTR", 41: "OPT", 43: "DS", 46: "RRSIG", 48: "DNSKEY", 64: "SVCB", 65: "HTTPS",
    252: "AXFR", 255: "ANY", 10: "NULL", 32: "NB",
}  # fmt: skip
_CODES: Final = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP",
                 5: "REFUSED"}  # fmt: skip
MAX_LABELS: Final = 64
MAX_ANSWERS: Final = 64


class Answer(NamedTuple):
    """A name and one of its addresses."""

    name: str
    address: bytes


def extract_dns(request: Head, reply: Head) -> Detail:
    """Return the first question of a flow and the first response's code and addresses."""
    detail: Detail = {}
    for head in (request, reply):
        for message in head.messages:
            try:
                _read_message(detail, _without_length(message))
            except (ValueError, IndexError):
                continue
    return detail


def _without_length(message: bytes) -> bytes:
    """Take off the length that precedes a message over TCP."""
    if len(message) > 14 and int.from_bytes(message[:2], "big") == len(message) - 2:
        return message[2:]
    return message


def _read_message(detail: Detail, message: bytes) -> None:
    flags, questions = unsigned(message, 2, 2), unsigned(message, 4, 2)
    if questions and "query" not in detail:
        name, at = read_name(message, 12)
        detail["query"] = name
        kind = unsigned(message, at, 2)
        detail["type"] = _TYPES.get(kind, str(kind))
    if flags & 0x8000 and "rcode" not in detail:
        detail["rcode"] = _CODES.get(flags & 15, str(flags & 15))
        addresses = [ipaddress.ip_address(a.address) for a in read_answers(message)]
        if addresses:
            detail["answers"] = [str(address) for address in addresses[:8]]


def read_answers(message: bytes) -> list[Answer]:
    """Return the A and AAAA answers of a response, under the name that was asked for."""
    message = _without_length(message)
    found: list[Answer] = []
    try:
        if not unsigned(message, 2, 2) & 0x8000:
            return found
        at = 12
        asked = ""
        for _ in range(min(unsigned(message, 4, 2), 4)):
            asked, at = read_name(message, at)
            at += 4
        for _ in range(min(unsigned(message, 6, 2), MAX_ANSWERS)):
            name = ""
            if asked and message[at] >= 0xC0:
                at += 2  # a pointer, mostly to the question
            else:
                name, at = read_name(message, at)
            kind, size = unsigned(message, at, 2), unsigned(message, at + 8, 2)
            if (kind, size) in ((1, 4), (28, 16)):
                found.append(Answer(asked or name, piece(message, at + 10, size)))
            at += 10 + size
    except (ValueError, IndexError):
        pass
    return found


def read_name(message: bytes, at: int) -> tuple[str, int]:
    """Return the name at `at` as safe text and the offset after it; raises ValueError."""
    labels: list[bytes] = []
    end = -1
    present = len(message)
    for _ in range(MAX_LABELS):
        if at >= present:
            raise ValueError("truncated")
        size = message[at]
        if size >= 0xC0:
            end = at + 2 if end < 0 else end
            at = unsigned(message, at, 2) & 0x3FFF
            continue
        at += 1
        if size == 0:
            return printable(b".".join(labels), 255), at if end < 0 else end
        if at + size > present:
            raise ValueError("truncated")
        labels.append(message[at : at + size])
        at += size
    raise ValueError("a name of too many labels")
