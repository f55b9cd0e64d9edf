"""What all extractors share: the bytes they are given, the detail they return, safe text.

Strings from packets are untrusted: `printable` bounds and escapes them.
"""

from typing import Final, NamedTuple

MAX_TEXT: Final = 128

Detail = dict[str, str | int | float | list[str]]


class Head(NamedTuple):
    """The first bytes of one direction: one TCP stream, or up to 4 datagrams.

    `totals` are lengths on the wire: of the first segment, or of each datagram.
    """

    messages: tuple[bytes, ...]
    totals: tuple[int, ...]

    @property
    def first(self) -> bytes:
        """The stream, or the first datagram; empty if the direction was silent."""
        return self.messages[0] if self.messages else b""


NO_BYTES: Final = Head((), ())
"""A direction that was silent."""


def printable(data: bytes, limit: int = MAX_TEXT) -> str:
    """Return bytes as text of printable ASCII; others as escapes of two digits, long text cut."""
    text = data[:limit].decode("latin-1")
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text + ("..." if len(data) > limit else "")
    parts = [
        chr(byte) if 32 <= byte <= 126 and byte != 0x5C else f"\\x{byte:02x}"
        for byte in data[:limit]
    ]
    return "".join(parts) + ("..." if len(data) > limit else "")


def unsigned(data: bytes, offset: int, size: int) -> int:
    """Return a big-endian number; raises ValueError where bytes are missing."""
    if offset < 0 or offset + size > len(data):
        raise ValueError("truncated")
    return int.from_bytes(data[offset : offset + size], "big")


def little(data: bytes, offset: int, size: int) -> int:
    """Return a little-endian number; raises ValueError where bytes are missing."""
    if offset < 0 or offset + size > len(data):
        raise ValueError("truncated")
    return int.from_bytes(data[offset : offset + size], "little")


def piece(data: bytes, offset: int, size: int) -> bytes:
    """Return `size` bytes; raises ValueError where some are missing."""
    if offset < 0 or size < 0 or offset + size > len(data):
        raise ValueError("truncated")
    return data[offset : offset + size]


def ipv4_text(data: bytes) -> str:
    """Return four bytes as a dotted address."""
    return ".".join(str(byte) for byte in data[:4])
