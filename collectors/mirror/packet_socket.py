"""What is asked of an AF_PACKET socket and its interface in structures of the kernel's."""

import ctypes
import errno
import fcntl
import os
import socket
import struct
from typing import Final

__all__ = [
    "SOL_PACKET",
    "advice",
    "ask_for_hardware_time",
    "hear_everything",
    "is_up",
    "run_program",
]

# linux/if_packet.h, linux/sockios.h, linux/net_tstamp.h
SOL_PACKET: Final = 263
_ADD_MEMBERSHIP: Final = 1
_TIMESTAMP: Final = 17
_PROMISCUOUS: Final = 1
_RAW_HARDWARE: Final = 1 << 6
_HARDWARE_TIME_REQUEST: Final = 0x89B0  # SIOCSHWTSTAMP
_FLAGS_REQUEST: Final = 0x8913  # SIOCGIFFLAGS
_UP: Final = 1


def run_program(link: socket.socket, level: int, option: int, program: bytes) -> None:
    """Give the kernel a BPF program (8 bytes an instruction) to run on packets."""
    buffer = ctypes.create_string_buffer(program)
    link.setsockopt(level, option, struct.pack("HL", len(program) // 8, ctypes.addressof(buffer)))


def hear_everything(link: socket.socket, number: int) -> None:
    """Let the interface of that number hand over what is addressed to others too."""
    request = struct.pack("IHH8s", number, _PROMISCUOUS, 0, b"")
    link.setsockopt(SOL_PACKET, _ADD_MEMBERSHIP, request)


def ask_for_hardware_time(link: socket.socket, interface: str) -> None:
    """Let the card stamp every packet that comes in. Raises OSError if it cannot."""
    settings = ctypes.create_string_buffer(struct.pack("iii", 0, 0, 1))  # every packet in
    request = struct.pack("16sP", interface.encode(), ctypes.addressof(settings))
    fcntl.ioctl(link.fileno(), _HARDWARE_TIME_REQUEST, request)
    link.setsockopt(SOL_PACKET, _TIMESTAMP, _RAW_HARDWARE)


def is_up(link: socket.socket, interface: str) -> bool:
    """Return whether an interface is up. Raises OSError if it is not there."""
    answer = fcntl.ioctl(link.fileno(), _FLAGS_REQUEST, struct.pack("16s24x", interface.encode()))
    (flags,) = struct.unpack_from("H", answer, 16)
    return bool(flags & _UP)


def advice(number: int | None, size_bytes: int) -> str:
    """Return what to do about the error of that number of a ring of that size."""
    if number == errno.ENOMEM:
        return f"it needs {size_bytes >> 20} MiB of memory, ask for fewer blocks"
    if number in (errno.EOPNOTSUPP, errno.EINVAL, errno.ERANGE):
        return "the card or the kernel does not offer what was asked for"
    return f"see `ip link show` and dmesg ({os.strerror(number or 0)})"
