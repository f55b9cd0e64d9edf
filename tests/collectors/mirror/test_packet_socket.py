"""What is asked of an interface, and what is said where a ring cannot be."""

import errno
import socket

import pytest

from fabricscope.collectors.mirror.packet_socket import advice, is_up


def test_an_interface_is_up_or_not_there() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        assert is_up(link, "lo")
        with pytest.raises(OSError, match="No such device"):
            is_up(link, "nosuchport")


def test_each_error_has_an_advice() -> None:
    assert "64 MiB" in advice(errno.ENOMEM, 64 << 20)
    assert "does not offer" in advice(errno.EINVAL, 1)
    assert "ip link show" in advice(errno.EPERM, 1)
