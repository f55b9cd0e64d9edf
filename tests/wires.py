"""A pair of virtual interfaces: what is sent into one comes out of the other, the mirror port."""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest


class Cable(NamedTuple):
    """Both ends, and a way to send frames into the far one."""

    far: str
    near: str
    send: Callable[[list[bytes]], None]


@contextmanager
def plugged_in(name: str = "") -> Iterator[Cable]:
    """Make the pair and take it away again; skip the test where that cannot be done.

    name: a letter that tells pairs of one test apart.
    """
    if os.geteuid() != 0:
        pytest.skip("making interfaces needs root")
    number = os.getpid() % 100_000
    far, near = f"fsx{name}{number}", f"fsy{name}{number}"
    made = subprocess.run(["ip", "link", "add", far, "type", "veth", "peer", "name", near])
    if made.returncode:
        pytest.skip("this machine has no virtual Ethernet (veth)")
    for end in (far, near):
        Path(f"/proc/sys/net/ipv6/conf/{end}/disable_ipv6").write_text("1")
        subprocess.run(["ip", "link", "set", end, "up"], check=True)
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sender.bind((far, 0))

    def send(frames: list[bytes]) -> None:
        for frame in frames:
            sender.send(frame)

    try:
        yield Cable(far, near, send)
    finally:
        sender.close()
        subprocess.run(["ip", "link", "del", far], check=True)
