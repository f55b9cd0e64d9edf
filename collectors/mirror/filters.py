"""Filter expressions as tcpdump knows them, compiled by libpcap for the kernel to run."""

import ctypes
import ctypes.util
import struct
from typing import Final

from fabricscope.errors import ConfigError, DependencyError

__all__ = ["BY_ADDRESSES", "NOTHING", "compile_filter"]

_ETHERNET = 1
_PACKET_BYTES = 262_144
_ALL_ONES = 0xFFFFFFFF


# linux/filter.h: offsets from the network header, and of the Ethertype.
_FROM_NETWORK: Final = 0x1_0000_0000 - 0x100000
_ETHERTYPE: Final = 0x1_0000_0000 - 0x1000
_LOAD_WORD, _LOAD_HALF, _JUMP_EQUAL = 0x20, 0x28, 0x15
_ADD_X, _MULTIPLY, _SHIFT_RIGHT = 0x0C, 0x24, 0x74
_TO_X, _RETURN, _RETURN_A = 0x07, 0x06, 0x16
_IPV4, _IPV6, _ROCE_V1 = 0x0800, 0x86DD, 0x8915


def _assemble(*instructions: tuple[int, int, int, int]) -> bytes:
    """Return a BPF program of (code, jump if true, jump if false, value)."""
    return b"".join(struct.pack("=HBBI", *one) for one in instructions)


def _sum_of_words(offsets: range) -> list[tuple[int, int, int, int]]:
    """Return instructions that add up 32-bit words of the network header."""
    first, *others = offsets
    sums = [(_LOAD_WORD, 0, 0, _FROM_NETWORK + first)]
    for offset in others:
        sums += [
            (_TO_X, 0, 0, 0),
            (_LOAD_WORD, 0, 0, _FROM_NETWORK + offset),
            (_ADD_X, 0, 0, 0),
        ]
    return [*sums, (_MULTIPLY, 0, 0, 0x9E37_79B1), (_SHIFT_RIGHT, 0, 0, 16), (_RETURN_A, 0, 0, 0)]


_OF_IPV4: Final = _sum_of_words(range(12, 20, 4))
_OF_IPV6: Final = _sum_of_words(range(8, 40, 4))

NOTHING: Final = _assemble((_RETURN, 0, 0, 0))
"""A filter that no packet passes."""

BY_ADDRESSES: Final = _assemble(
    (_LOAD_HALF, 0, 0, _ETHERTYPE),
    (_JUMP_EQUAL, 3, 0, _IPV4),
    (_JUMP_EQUAL, 2 + len(_OF_IPV4), 0, _IPV6),
    (_JUMP_EQUAL, 1 + len(_OF_IPV4), 0, _ROCE_V1),
    (_RETURN, 0, 0, 0),
    *_OF_IPV4,
    *_OF_IPV6,
)
"""Picks a ring by a packet's two addresses: the same for both directions and for every port, as the
two directions of an RDMA connection have nothing else in common. Others go to the first ring."""


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("jump_true", ctypes.c_uint8),
        ("jump_false", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint32), ("instructions", ctypes.POINTER(_Instruction)))


def compile_filter(expression: str, snap_bytes: int = _PACKET_BYTES) -> bytes:
    """Return the BPF program of `expression` (pcap-filter syntax), 8 bytes an instruction.

    snap_bytes: how much of an accepted packet the kernel copies. Raises ConfigError with libpcap's
    own words for a bad expression, DependencyError where there is no libpcap.
    """
    name = ctypes.util.find_library("pcap")
    if name is None:
        raise DependencyError(
            "--filter needs libpcap, which is not installed; install Debian's libpcap0.8"
        )
    library = ctypes.CDLL(name)
    library.pcap_open_dead.restype = ctypes.c_void_p
    library.pcap_geterr.restype = ctypes.c_char_p
    handle = ctypes.c_void_p(library.pcap_open_dead(_ETHERNET, snap_bytes))
    program = _Program()
    try:
        failed = library.pcap_compile(
            handle, ctypes.byref(program), expression.encode(), 1, ctypes.c_uint32(_ALL_ONES)
        )
        if failed:
            reason = library.pcap_geterr(handle).decode(errors="replace")
            raise ConfigError(f"--filter {expression!r}: {reason}; see man pcap-filter")
        code = ctypes.string_at(program.instructions, 8 * program.length)
        library.pcap_freecode(ctypes.byref(program))
        return code
    finally:
        library.pcap_close(handle)
