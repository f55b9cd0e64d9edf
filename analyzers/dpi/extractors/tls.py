"""TLS: server name, ALPN, version, certificate name and JA4 (RFC 8446, RFC 6066, FoxIO's JA4)."""

import hashlib
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from fabricscope.analyzers.dpi.extractors.text import (
    Detail,
    Head,
    piece,
    printable,
    unsigned,
)

MAX_ENTRIES: Final = 256
MAX_KNOWN_CLIENTS: Final = 256
"""Fingerprints kept: most connections of a network come from few kinds of clients."""

_VERSIONS: Final = {
    0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3", 0x0002: "s2",
    0xFEFF: "d1", 0xFEFD: "d2", 0xFEFC: "d3",
}  # fmt: skip
_NAMES: Final = {
    0x0304: "TLS 1.3", 0x0303: "TLS 1.2", 0x0302: "TLS 1.1", 0x0301: "TLS 1.0",
    0x0300: "SSL 3.0", 0xFEFF: "DTLS 1.0", 0xFEFD: "DTLS 1.2", 0xFEFC: "DTLS 1.3",
}  # fmt: skip
_TWO_NUMBERS: Final = struct.Struct(">HH")
_GREASE: Final = frozenset(0x0A0A + 0x1010 * number for number in range(16))
_READ_EXTENSIONS: Final = frozenset((0, 13, 16, 43))
_COMMON_NAME: Final = bytes.fromhex("0603550403")


@dataclass
class ClientHello:
    """What matters of a ClientHello; lists are in the order of the wire, without GREASE."""

    version: int = 0
    ciphers: list[int] = field(default_factory=list)
    extensions: list[int] = field(default_factory=list)
    signatures: list[int] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    server_name: bytes = b""
    alpn: list[bytes] = field(default_factory=list)


def extract_tls(request: Head, reply: Head) -> Detail:
    """Return what both directions of a TLS stream say."""
    detail: Detail = {}
    for data in (request.first, reply.first):
        for kind, body, complete in _messages(handshake_bytes(data)):
            _read_message(detail, kind, body, "t", complete=complete)
    return detail


def extract_dtls(request: Head, reply: Head) -> Detail:
    """Return what the unfragmented handshake messages of DTLS datagrams say."""
    detail: Detail = {}
    for datagram in (*request.messages, *reply.messages):
        at = 0
        while at + 25 <= len(datagram) and datagram[at] == 22:
            size = unsigned(datagram, at + 11, 2)
            kind, length = datagram[at + 13], unsigned(datagram, at + 14, 3)
            if unsigned(datagram, at + 19, 3) == 0:
                body = datagram[at + 25 : at + 25 + length]
                _read_message(detail, kind, body, "d", complete=len(body) == length)
            at += 13 + size
    return detail


def handshake_bytes(data: bytes) -> bytes:
    """Return the handshake messages of a stream's records up to ChangeCipherSpec, joined."""
    joined = bytearray()
    at = 0
    while at + 5 <= len(data) and data[at] in (21, 22) and data[at + 1] == 3:
        size = unsigned(data, at + 3, 2)
        if data[at] == 22:
            joined += data[at + 5 : at + 5 + size]
        at += 5 + size
    return bytes(joined)


def _messages(data: bytes) -> list[tuple[int, bytes, bool]]:
    """Split handshake bytes into type, body and whether it is complete: the last may be cut."""
    found: list[tuple[int, bytes, bool]] = []
    at = 0
    while at + 4 <= len(data) and len(found) < 16:
        size = unsigned(data, at + 1, 3)
        body = data[at + 4 : at + 4 + size]
        found.append((data[at], body, len(body) == size))
        at += 4 + size
    return found


def _read_message(
    detail: Detail, kind: int, body: bytes, transport: str, *, complete: bool
) -> None:
    if kind == 1 and "ja4" not in detail:
        hello = parse_client_hello(body, datagram=transport == "d")
        detail.update(describe_client(hello, transport, complete=complete))
    elif kind == 2:
        _read_server_hello(detail, body)
    elif kind == 11:
        name = certificate_name(body)
        if name:
            detail["certificate"] = name


def describe_client(hello: ClientHello, transport: str, *, complete: bool) -> Detail:
    """Return server name, ALPN and, of a complete ClientHello, JA4; transport t, q or d."""
    detail: Detail = {"ja4": ja4(hello, transport)} if complete else {}
    if hello.server_name:
        detail["sni"] = printable(hello.server_name)
    if hello.alpn:
        detail["alpn"] = [printable(name, 32) for name in hello.alpn[:8]]
    return detail


def parse_client_hello(body: bytes, *, datagram: bool = False) -> ClientHello:
    """Parse as much of a ClientHello body as is there."""
    hello = ClientHello()
    try:
        hello.version = unsigned(body, 0, 2)
        at = 34
        at += 1 + unsigned(body, at, 1)
        if datagram:
            at += 1 + unsigned(body, at, 1)
        size = unsigned(body, at, 2)
        hello.ciphers = _ungreased(piece(body, at + 2, size))
        at += 2 + size
        at += 1 + unsigned(body, at, 1)
        end = at + 2 + unsigned(body, at, 2)
        at += 2
        end = min(end, len(body))
        while at + 4 <= end and len(hello.extensions) < MAX_ENTRIES:
            kind, size = _TWO_NUMBERS.unpack_from(body, at)
            if kind not in _GREASE:
                hello.extensions.append(kind)
            if kind in _READ_EXTENSIONS:
                _read_extension(hello, kind, body[at + 4 : at + 4 + size])
            at += 4 + size
    except ValueError:
        pass
    return hello


def _read_extension(hello: ClientHello, kind: int, value: bytes) -> None:
    if kind == 0 and len(value) >= 5 and value[2] == 0:
        hello.server_name = value[5 : 5 + unsigned(value, 3, 2)]
    elif kind == 13 and len(value) >= 2:
        hello.signatures = _ungreased(value[2:])
    elif kind == 16 and len(value) >= 2:
        at = 2
        while at < len(value) and len(hello.alpn) < 32:
            size = value[at]
            hello.alpn.append(value[at + 1 : at + 1 + size])
            at += 1 + size
    elif kind == 43 and value:
        hello.versions = _ungreased(value[1:])


def _read_server_hello(detail: Detail, body: bytes) -> None:
    version = unsigned(body, 0, 2)
    at = 34 + 1 + unsigned(body, 34, 1)
    cipher = unsigned(body, at, 2)
    at += 3
    if at + 2 <= len(body):
        end = min(at + 2 + unsigned(body, at, 2), len(body))
        at += 2
        while at + 4 <= end:
            kind, size = unsigned(body, at, 2), unsigned(body, at + 2, 2)
            value = body[at + 4 : at + 4 + size]
            if kind == 43 and len(value) == 2:
                version = unsigned(value, 0, 2)
            elif kind == 16 and len(value) > 3:
                detail["alpn_chosen"] = printable(value[3 : 3 + value[2]], 32)
            at += 4 + size
    detail["version"] = _NAMES.get(version, f"0x{version:04x}")
    detail["cipher"] = f"0x{cipher:04x}"


def certificate_name(body: bytes) -> str:
    """Return the subject's common name of the first certificate, as far as it was captured.

    The name is found by its object identifier (2.5.4.3): the issuer's comes first, the subject's
    second; no ASN.1 is needed for that.
    """
    names: list[bytes] = []
    at = body.find(_COMMON_NAME)
    while at >= 0 and len(names) < 2:
        size = body[at + 6] if at + 6 < len(body) else 0
        value = body[at + 7 : at + 7 + size]
        if size and size < 128 and len(value) == size:
            names.append(value)
        at = body.find(_COMMON_NAME, at + 5)
    return printable(names[1]) if len(names) == 2 else ""


def ja4(hello: ClientHello, transport: str) -> str:
    """Return the JA4 fingerprint (FoxIO, "JA4: TLS client fingerprinting", BSD 3-Clause)."""
    version = max(hello.versions, default=hello.version)
    if transport == "d" and hello.versions:
        version = min(hello.versions)
    alpn = "00"
    if hello.alpn and hello.alpn[0]:
        first, last = hello.alpn[0][:1], hello.alpn[0][-1:]
        if re.fullmatch(rb"[0-9A-Za-z]{2}", first + last):
            alpn = (first + last).decode("ascii")
        else:
            digits = hello.alpn[0].hex()
            alpn = digits[0] + digits[-1]
    prefix = (
        f"{transport}{_VERSIONS.get(version, '00')}{'d' if 0 in hello.extensions else 'i'}"
        f"{min(len(hello.ciphers), 99):02d}{min(len(hello.extensions), 99):02d}{alpn}"
    )
    ciphers = _ciphers_hash(tuple(hello.ciphers))
    extensions = _extensions_hash(tuple(sorted(hello.extensions)), tuple(hello.signatures))
    return f"{prefix}_{ciphers}_{extensions}"


@lru_cache(maxsize=MAX_KNOWN_CLIENTS)
def _ciphers_hash(ciphers: tuple[int, ...]) -> str:
    return _hash(_hexadecimal(sorted(ciphers)))


@lru_cache(maxsize=MAX_KNOWN_CLIENTS)
def _extensions_hash(extensions: tuple[int, ...], signatures: tuple[int, ...]) -> str:
    text = _hexadecimal(value for value in extensions if value not in (0, 16))
    return _hash(f"{text}_{_hexadecimal(signatures)}" if signatures else text)


def _hexadecimal(values: Iterable[int]) -> str:
    return ",".join([f"{value:04x}" for value in values])


def _hash(text: str) -> str:
    if not text:
        return "000000000000"
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:12]


def _ungreased(data: bytes) -> list[int]:
    count = min(len(data), 512) // 2
    values = struct.unpack(f">{count}H", data[: 2 * count])
    return [value for value in values if value not in _GREASE]
