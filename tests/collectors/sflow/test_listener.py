import socket
import time

import pytest

from fabricscope.collectors.sflow.listener import SflowListener
from fabricscope.errors import ConfigError


def test_datagrams_arrive_with_their_time() -> None:
    with SflowListener(0) as listener, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        assert listener.receive() == []
        before = time.time_ns()
        for number in range(3):
            sender.sendto(bytes([number]), ("127.0.0.1", listener.port))
        got = listener.receive()
        assert [data for _, data in got] == [b"\0", b"\1", b"\2"]
        assert all(before <= when <= time.time_ns() for when, _ in got)


def test_a_port_in_use_is_said_in_a_sentence() -> None:
    with SflowListener(0) as listener:
        with pytest.raises(ConfigError, match=rf"UDP port {listener.port} is in use"):
            SflowListener(listener.port).open()
        with pytest.raises(ValueError, match="not open"):
            SflowListener(0).receive()
