"""Sends a capture again and again, many frames with one system call, as fast as they go.

    python sender.py INTERFACE CAPTURE SECONDS

tcpreplay makes a system call a packet, which is slower than the collector that is measured. Prints
packets sent and seconds taken.
"""

import ctypes
import socket
import sys
import time
from pathlib import Path

from traffic import frames_of

SOL_PACKET = 263
QDISC_BYPASS = 20
FRAMES = 16_384
AT_ONCE = 1_024


class _Part(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class _Message(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_size", ctypes.c_uint32),
        ("parts", ctypes.c_void_p),
        ("part_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("sent", ctypes.c_uint32),
    )


def main() -> None:
    """Send until the time is over."""
    interface, capture, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    frames = [frame for _, frame in zip(range(FRAMES), frames_of(capture), strict=False)]
    buffers = [ctypes.create_string_buffer(frame, len(frame)) for frame in frames]
    parts = (_Part * len(frames))(*[(ctypes.addressof(b), len(b)) for b in buffers])
    size = ctypes.sizeof(_Part)
    messages = (_Message * len(frames))()
    for number, message in enumerate(messages):
        message.parts = ctypes.addressof(parts) + number * size
        message.part_count = 1
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    link.setsockopt(SOL_PACKET, QDISC_BYPASS, 1)
    link.bind((interface, 0))
    library = ctypes.CDLL(None, use_errno=True)
    sent = at = 0
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        many = min(AT_ONCE, len(frames) - at)
        done = library.sendmmsg(link.fileno(), ctypes.byref(messages[at]), many, 0)
        if done < 0:
            raise OSError(ctypes.get_errno(), "sendmmsg")
        sent += done
        at = (at + done) % len(frames)
    print(sent, time.monotonic() - began)


if __name__ == "__main__":
    main()
