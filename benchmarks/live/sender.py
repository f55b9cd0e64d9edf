"""Sends a capture again and again, faster than a system call a packet allows.

    python sender.py INTERFACE CAPTURE SECONDS [PACKETS_PER_SECOND]

Consecutive frames of one UDP flow and one size are handed to the kernel as one, which cuts them
into the frames that they were (UDP segmentation offload, done in software: the offload of the
interface itself has to be off). Every frame crosses the interface by itself. Prints packets sent
and seconds taken.
"""

import ctypes
import itertools
import socket
import struct
import sys
import time
from pathlib import Path

from traffic import frames_of

SOL_PACKET = 263
VNET_HEADER = 15
NEEDS_CHECKSUM = 1
CUT_UDP = 5
UDP_PAYLOAD_AT = 42
UDP_AT = 34
CHECKSUM_AT = 6
AT_ONCE = 64
MOST_CUT = 64


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


def join(frames: list[bytes]) -> bytes:
    """Return frames with the same headers as one, after the header that says how to cut it."""
    payload_bytes = len(frames[0]) - UDP_PAYLOAD_AT
    udp_bytes = 8 + payload_bytes * len(frames)
    headers = bytearray(frames[0][:UDP_PAYLOAD_AT])
    headers[16:18] = struct.pack(">H", 20 + udp_bytes)
    headers[38:40] = struct.pack(">H", udp_bytes)
    pseudo = sum(struct.unpack(">4H", headers[26:34])) + socket.IPPROTO_UDP + udp_bytes
    while pseudo > 0xFFFF:
        pseudo = (pseudo & 0xFFFF) + (pseudo >> 16)
    headers[40:42] = struct.pack(">H", pseudo)
    how = struct.pack(
        "<BBHHHH", NEEDS_CHECKSUM, CUT_UDP, UDP_PAYLOAD_AT, payload_bytes, UDP_AT, CHECKSUM_AT
    )
    return how + bytes(headers) + b"".join(frame[UDP_PAYLOAD_AT:] for frame in frames)


def main() -> None:
    """Send until the time is over."""
    interface, capture, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    rate = float(sys.argv[4]) if len(sys.argv) > 4 else float("inf")
    joined = []
    for _, run in itertools.groupby(frames_of(capture), key=lambda frame: frame[:UDP_PAYLOAD_AT]):
        frames = list(run)
        parts_of = [frames[at : at + MOST_CUT] for at in range(0, len(frames), MOST_CUT)]
        joined += [(join(part), len(part)) for part in parts_of]
    buffers = [ctypes.create_string_buffer(data, len(data)) for data, _ in joined]
    before = [0, *itertools.accumulate(count for _, count in joined)]
    parts = (_Part * len(joined))(*[(ctypes.addressof(b), len(b)) for b in buffers])
    messages = (_Message * len(joined))()
    for number, message in enumerate(messages):
        message.parts = ctypes.addressof(parts) + number * ctypes.sizeof(_Part)
        message.part_count = 1
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    link.setsockopt(SOL_PACKET, VNET_HEADER, 1)
    link.bind((interface, 0))
    library = ctypes.CDLL(None, use_errno=True)
    sent = at = 0
    began = time.monotonic()
    while (took := time.monotonic() - began) < seconds:
        if sent > took * rate:
            time.sleep(0.0005)
            continue
        many = min(AT_ONCE, len(joined) - at)
        done = library.sendmmsg(link.fileno(), ctypes.byref(messages[at]), many, 0)
        if done < 0:
            raise OSError(ctypes.get_errno(), "sendmmsg")
        sent += before[at + done] - before[at]
        at = (at + done) % len(joined)
    print(sent, time.monotonic() - began)


if __name__ == "__main__":
    main()
