"""Filter expressions as tcpdump knows them, compiled by libpcap for the kernel to run."""

import ctypes
import ctypes.util

from fabricscope.errors import ConfigError, DependencyError

__all__ = ["compile_filter"]

_ETHERNET = 1
_PACKET_BYTES = 262_144
_ALL_ONES = 0xFFFFFFFF


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
