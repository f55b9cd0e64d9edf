"""The UDP socket that sFlow agents send to; nothing is read into what they say."""

import contextlib
import errno
import socket
import struct
import time
from typing import Final

from fabricscope.errors import ConfigError

__all__ = ["SFLOW_PORT", "SflowListener"]

SFLOW_PORT: Final = 6343

_MAX_DATAGRAM: Final = 65_535
_BUFFER_BYTES: Final = 16 << 20
_TIMESTAMP: Final = 35  # SO_TIMESTAMPNS, asm-generic/socket.h
_FORCED_BUFFER: Final = 33  # SO_RCVBUFFORCE
_AT_ONCE: Final = 1_000


class SflowListener:
    """Receives datagrams on a port of all addresses; `open` first, `close` last."""

    def __init__(self, port: int = SFLOW_PORT) -> None:
        """Remember the port; 0 takes a free one."""
        self.port = port
        self._socket: socket.socket | None = None

    def __enter__(self) -> "SflowListener":
        """Open the socket."""
        self.open()
        return self

    def __exit__(self, *details: object) -> None:
        """Close it."""
        self.close()

    def open(self) -> None:
        """Open the socket. Raises ConfigError: the port is in use, or needs root."""
        try:
            link = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            link.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            address = "::"
        except OSError:  # a host without IPv6
            link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            address = ""
        try:
            link.bind((address, self.port))
        except OverflowError:
            link.close()
            raise ConfigError(f"--sflow-port {self.port}: ports go up to 65535") from None
        except OSError as error:
            link.close()
            raise ConfigError(_sentence(self.port, error)) from error
        link.setblocking(False)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        with contextlib.suppress(PermissionError):  # root may go beyond the host's limit
            link.setsockopt(socket.SOL_SOCKET, _FORCED_BUFFER, _BUFFER_BYTES)
        link.setsockopt(socket.SOL_SOCKET, _TIMESTAMP, 1)
        self.port = link.getsockname()[1]
        self._socket = link

    def receive(self) -> list[tuple[int, bytes]]:
        """Return (time of arrival in ns since the epoch, datagram) of what has come; never waits.

        At most _AT_ONCE datagrams, so that a mirror port beside it need not wait for long; the
        others stay for the next call.
        """
        if self._socket is None:
            raise ValueError("the sFlow socket is not open")
        result: list[tuple[int, bytes]] = []
        with contextlib.suppress(BlockingIOError):
            while len(result) < _AT_ONCE:
                data, details, _, _ = self._socket.recvmsg(_MAX_DATAGRAM, 64)
                result.append((_arrival_ns(details), data))
        return result

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _arrival_ns(details: list[tuple[int, int, bytes]]) -> int:
    for level, kind, value in details:
        if level == socket.SOL_SOCKET and kind == _TIMESTAMP and len(value) >= 16:
            seconds, nanoseconds = struct.unpack_from("qq", value)
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return time.time_ns()


def _sentence(port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"UDP port {port} is in use by another program (see `ss -ulpn`); stop that one, or "
            "send sFlow to another port and name it with --sflow-port"
        )
    if error.errno == errno.EACCES:
        return f"UDP port {port} is for root only; choose one above 1023 with --sflow-port"
    return f"UDP port {port} cannot be listened on: {error.strerror}; choose another --sflow-port"
