"""A driver's own statistics (`ethtool -S`), asked from the kernel; needs no rights.

Names are the drivers'; what they mean is in `meanings`.
"""

import ctypes
import fcntl
import socket
import struct
from typing import Final

__all__ = ["DriverStatistics"]

# linux/sockios.h, linux/ethtool.h
_SIOCETHTOOL: Final = 0x8946
_GET_STRINGS: Final = 0x1B
_GET_STATISTICS: Final = 0x1D
_GET_SET_SIZE: Final = 0x37
_STATISTICS_SET: Final = 1
_NAME_BYTES: Final = 32
_MAX_STATISTICS: Final = 16_384
_ATTEMPTS: Final = 3


class DriverStatistics:
    """Reads statistics through one socket and remembers their names."""

    def __init__(self) -> None:
        """Open the socket."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._names: dict[str, list[str]] = {}

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def read(self, interface: str) -> dict[str, int]:
        """Return the statistics by name; none where the driver has none or the interface is gone.

        A driver may add statistics at any time: names are read again when their number changes.
        """
        try:
            for _ in range(_ATTEMPTS):
                count = self._count(interface)
                if not 0 < count <= _MAX_STATISTICS:
                    return {}
                names = self._names.get(interface, [])
                if len(names) != count:
                    names = self._names[interface] = self._read_names(interface, count)
                head = struct.pack("II", _GET_STATISTICS, count)
                answer = self._ask(interface, head, 8 * count)
                if struct.unpack_from("I", answer, 4)[0] == count:
                    return dict(zip(names, struct.unpack_from(f"{count}Q", answer, 8), strict=True))
        except OSError:
            self._names.pop(interface, None)
        return {}

    def _count(self, interface: str) -> int:
        head = struct.pack("IIQ", _GET_SET_SIZE, 0, 1 << _STATISTICS_SET)
        answer = self._ask(interface, head, 4)
        has_set = struct.unpack_from("Q", answer, 8)[0]
        return int(struct.unpack_from("I", answer, 16)[0]) if has_set else 0

    def _read_names(self, interface: str, count: int) -> list[str]:
        head = struct.pack("III", _GET_STRINGS, _STATISTICS_SET, count)
        text = self._ask(interface, head, _NAME_BYTES * count)[12:]
        fields = [text[at : at + _NAME_BYTES] for at in range(0, len(text), _NAME_BYTES)]
        return [name.split(b"\0")[0].decode("ascii", "replace").strip() for name in fields]

    def _ask(self, interface: str, head: bytes, answer_bytes: int) -> bytes:
        buffer = ctypes.create_string_buffer(head, len(head) + answer_bytes)
        request = struct.pack("16sP", interface.encode(), ctypes.addressof(buffer))
        fcntl.ioctl(self._socket.fileno(), _SIOCETHTOOL, request)
        return buffer.raw
