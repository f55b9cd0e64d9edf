"""QUIC: version, and what the ClientHello in the Initial packets says (RFC 9000, 9001, 9369).

Initial keys follow from the connection id, so anybody can read these packets. Decryption needs
the package `cryptography`; without it only the header is reported.
"""

import contextlib
import hashlib
import hmac
from collections.abc import Callable
from functools import cache
from typing import Final

from fabricscope.analyzers.dpi.extractors.text import Detail, Head, piece, printable, unsigned
from fabricscope.analyzers.dpi.extractors.tls import describe_client, parse_client_hello

_Codebook = Callable[[bytes, bytes], bytes]
_Counter = Callable[[bytes, bytes, bytes], bytes]

_SALTS: Final = {
    0x00000001: bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a"),
    0x6B3343CF: bytes.fromhex("0dede3def700a6db819381be6e269dcbf9bd2ed9"),
    0xFF00001D: bytes.fromhex("afbfec289993d24c9e9786f19c6111e04390a899"),
    0xFF000017: bytes.fromhex("c3eef712c72ebb5a11a7d2432bb46365bef9f502"),
}
_LABELS_V1: Final = (b"quic key", b"quic iv", b"quic hp")
_LABELS_V2: Final = (b"quicv2 key", b"quicv2 iv", b"quicv2 hp")
_NAMES: Final = {0x00000001: "1", 0x6B3343CF: "2"}
MAX_CRYPTO_BYTES: Final = 4_096


def extract_quic(request: Head, reply: Head) -> Detail:
    """Return version, server name, ALPN and JA4 of a QUIC flow."""
    datagrams = request.messages or reply.messages
    if not datagrams or len(datagrams[0]) < 6:
        return {}
    version = unsigned(datagrams[0], 1, 4)
    if 0x51303000 <= version <= 0x51303939 or version >> 24 == 0x54:
        return {"version": printable(datagrams[0][1:5])}
    if not datagrams[0][0] & 0x80:
        return {"version": printable(datagrams[0][9:13])}
    detail: Detail = {"version": _NAMES.get(version, f"0x{version:08x}")}
    if version >> 8 == 0xFF0000:
        detail["version"] = f"draft-{version & 0xFF}"
    if _ciphers() is not None:
        crypto: dict[int, bytes] = {}
        for datagram in request.messages:
            with contextlib.suppress(ValueError):
                at = 0
                while at < len(datagram):
                    at += _read_initial(datagram[at:], crypto)
        stream = _joined(crypto)
        if len(stream) > 4 and stream[0] == 1:
            hello = parse_client_hello(stream[4:])
            complete = len(stream) >= 4 + unsigned(stream, 1, 3)
            detail.update(describe_client(hello, "q", complete=complete))
    return detail


def _salt(version: int) -> tuple[bytes, tuple[bytes, bytes, bytes]]:
    if version == 0x6B3343CF:
        return _SALTS[version], _LABELS_V2
    if version in _SALTS:
        return _SALTS[version], _LABELS_V1
    if version >> 8 == 0xFF0000:
        draft = version & 0xFF
        if 29 <= draft <= 32:
            return _SALTS[0xFF00001D], _LABELS_V1
        if 23 <= draft <= 28:
            return _SALTS[0xFF000017], _LABELS_V1
        if draft >= 33:
            return _SALTS[0x00000001], _LABELS_V1
    raise ValueError("no salt is known for this version")


def _expand(secret: bytes, label: bytes, size: int) -> bytes:
    """HKDF-Expand-Label of TLS 1.3 with SHA-256; one block is enough for up to 32 bytes."""
    full = b"tls13 " + label
    info = size.to_bytes(2, "big") + bytes([len(full)]) + full + b"\0"
    return hmac.new(secret, info + b"\x01", hashlib.sha256).digest()[:size]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    size = 1 << (unsigned(data, at, 1) >> 6)
    return unsigned(data, at, size) & ((1 << (8 * size - 2)) - 1), at + size


def _read_initial(datagram: bytes, crypto: dict[int, bytes]) -> int:
    """Decrypt the first packet of a datagram if it is an Initial; add its CRYPTO frames.

    Returns the packet's size; raises ValueError where it is cut or is none that can be read.
    """
    version = unsigned(datagram, 1, 4)
    initial = 1 if version == 0x6B3343CF else 0
    if datagram[0] & 0x80 == 0 or datagram[0] >> 4 & 3 != initial:
        raise ValueError("not an Initial packet")
    salt, labels = _salt(version)
    connection = piece(datagram, 6, datagram[5])
    at = 6 + datagram[5]
    at += 1 + unsigned(datagram, at, 1)
    token_size, at = _varint(datagram, at)
    at += token_size
    length, at = _varint(datagram, at)
    secret = hmac.new(salt, connection, hashlib.sha256).digest()
    client = _expand(secret, b"client in", 32)
    key, vector, mask_key = (
        _expand(client, label, size) for label, size in zip(labels, (16, 12, 16), strict=True)
    )
    ciphers = _ciphers()
    assert ciphers is not None
    codebook, counter = ciphers
    mask = codebook(mask_key, piece(datagram, at + 4, 16))
    first = datagram[0] ^ mask[0] & 0x0F
    number_size = (first & 3) + 1
    number_bytes = piece(datagram, at, number_size)
    number = bytes(a ^ b for a, b in zip(number_bytes, mask[1:], strict=False))
    nonce = bytes(a ^ b for a, b in zip(vector, number.rjust(12, b"\0"), strict=True))
    sealed = datagram[at + number_size : at + max(length - 16, 0)]
    # GCM is counter mode; the tag is not checked because the packet may be cut.
    plain = counter(key, nonce + b"\0\0\0\2", sealed)
    with contextlib.suppress(ValueError):
        _read_frames(plain, crypto)
    return at + length


@cache
def _ciphers() -> tuple[_Codebook, _Counter] | None:
    """Return AES as (key, block) and in counter mode as (key, counter, data); None if missing.

    Imported when the first Initial comes: it takes as long as naming a thousand flows.
    """
    try:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    except ImportError:
        return None

    def codebook(key: bytes, block: bytes) -> bytes:
        encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
        return bytes(encryptor.update(block))

    def counter(key: bytes, start: bytes, data: bytes) -> bytes:
        encryptor = Cipher(algorithms.AES(key), modes.CTR(start)).encryptor()
        return bytes(encryptor.update(data))

    return codebook, counter


def _read_frames(plain: bytes, crypto: dict[int, bytes]) -> None:
    at = 0
    while at < len(plain):
        kind = plain[at]
        at += 1
        if kind in (0, 1):
            # Padding fills most of an Initial.
            at = len(plain) - len(plain[at:].lstrip(b"\0"))
            continue
        if kind in (2, 3):
            for _ in range(2):
                _, at = _varint(plain, at)
            ranges, at = _varint(plain, at)
            for _ in range(min(2 * ranges + 1 + (3 if kind == 3 else 0), 512)):
                _, at = _varint(plain, at)
        elif kind == 6:
            offset, at = _varint(plain, at)
            size, at = _varint(plain, at)
            if offset < MAX_CRYPTO_BYTES and len(crypto) < 64:
                crypto[offset] = plain[at : at + size]
            at += size
        else:
            return


def _joined(crypto: dict[int, bytes]) -> bytes:
    """Join CRYPTO data up to the first gap."""
    stream = bytearray()
    for offset in sorted(crypto):
        data = crypto[offset]
        if offset > len(stream):
            return bytes(stream)
        stream[offset : offset + len(data)] = data
    return bytes(stream)
