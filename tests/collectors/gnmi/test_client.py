"""A gNMI server in this process, and what the client makes of it."""

import json
import subprocess
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import pytest

from fabricscope.collectors.gnmi.client import GnmiClient
from fabricscope.collectors.gnmi.counters import GnmiPorts
from fabricscope.collectors.gnmi.targets import Target, parse_target
from fabricscope.collectors.ports import PortInterval
from fabricscope.errors import ConfigError

SECOND_NS = 1_000_000_000
WITHOUT = "needs pygnmi (pip install 'fabricscope[gnmi]')"


class Switch:
    """Streams counters that grow by 1,000 octets an update, ten updates a second."""

    Get = Set = None  # never asked for

    def __init__(self, encodings: list[int]) -> None:
        self.encodings = encodings
        self.asked: list[Any] = []
        self.identity: dict[str, str] = {}
        self.updates = 0
        self.until = 1 << 30
        """Updates after which it falls silent."""

    def Capabilities(self, request: Any, context: Any) -> Any:
        from pygnmi.spec.v080 import gnmi_pb2

        return gnmi_pb2.CapabilityResponse(supported_encodings=self.encodings)

    def Subscribe(self, requests: Any, context: Any) -> Iterator[Any]:
        from pygnmi.spec.v080 import gnmi_pb2

        self.identity = {key: value for key, value in context.invocation_metadata()}
        self.asked.append(next(requests))
        element = gnmi_pb2.PathElem
        prefix = [element(name="interfaces"), element(name="interface", key={"name": "Ethernet1"})]
        speed = gnmi_pb2.TypedValue(string_val="openconfig-if-ethernet:SPEED_100GB")
        while context.is_active():
            if self.updates >= self.until:
                time.sleep(0.05)
                continue
            self.updates += 1
            octets = 1_000 * self.updates
            if self.encodings == [4]:
                tree = {
                    "openconfig-interfaces:counters": {"in-octets": str(octets), "in-pkts": "7"}
                }
                tree["openconfig-interfaces:oper-status"] = "UP"  # type: ignore[assignment]
                updates = [([], gnmi_pb2.TypedValue(json_ietf_val=json.dumps(tree).encode()))]
            else:
                value = gnmi_pb2.TypedValue(uint_val=octets)
                updates = [(["counters", "in-octets"], value)]
            updates = [(["state", *names], value) for names, value in updates]
            updates.append((["ethernet", "state", "port-speed"], speed))
            yield gnmi_pb2.SubscribeResponse(
                update=gnmi_pb2.Notification(
                    timestamp=10**18 + self.updates * SECOND_NS // 10,
                    prefix=gnmi_pb2.Path(elem=prefix),
                    update=[
                        gnmi_pb2.Update(
                            path=gnmi_pb2.Path(elem=[element(name=name) for name in names]),
                            val=value,
                        )
                        for names, value in updates
                    ],
                )
            )
            time.sleep(0.1)


def serve(switch: Switch, port: int = 0, credentials: Any = None) -> tuple[Any, int]:
    grpc = pytest.importorskip("grpc", reason=WITHOUT)
    stubs = pytest.importorskip("pygnmi.spec.v080.gnmi_pb2_grpc", reason=WITHOUT)
    server = grpc.server(futures.ThreadPoolExecutor(4))
    stubs.add_gNMIServicer_to_server(switch, server)
    if credentials is None:
        port = server.add_insecure_port(f"127.0.0.1:{port}")
    else:
        port = server.add_secure_port(f"localhost:{port}", credentials)
    server.start()
    return server, port


def wait(ports: GnmiPorts, wanted: int) -> list[PortInterval]:
    """Return intervals as they come, at least so many."""
    result: list[PortInterval] = []
    end = time.monotonic() + 20
    while len(result) < wanted and time.monotonic() < end:
        time.sleep(0.05)
        result += ports.intervals()
    return result


@pytest.mark.server
@pytest.mark.parametrize("encodings", [[4], [2, 0]])
def test_counters_are_streamed(encodings: list[int]) -> None:
    pytest.importorskip("pygnmi", reason=WITHOUT)
    switch = Switch(encodings)
    server, port = serve(switch)
    ports = GnmiPorts()
    target = Target("127.0.0.1", port, "me", "secret", tls=False)
    with GnmiClient(target, ports):
        got = wait(ports, 8)
    server.stop(None)
    up = [one for one in got if one.direction == "up"]
    assert len(up) >= 4
    assert {one.port for one in got} == {"127.0.0.1 Ethernet1"}
    assert all(one.bytes * SECOND_NS == 10_000 * one.interval_ns for one in up)
    assert up[0].rate_gbps == 100.0
    assert (switch.identity["username"], switch.identity["password"]) == ("me", "secret")
    request = switch.asked[0].subscribe
    assert request.encoding == encodings[0]
    assert [len(one.path.elem) for one in request.subscription] == [3, 4]


@pytest.mark.server
def test_a_server_that_was_away_is_asked_again() -> None:
    pytest.importorskip("pygnmi", reason=WITHOUT)
    server, port = serve(Switch([2]))
    ports = GnmiPorts()
    client = GnmiClient(Target("127.0.0.1", port, tls=False), ports, again_s=0.2)
    with client:
        assert wait(ports, 2)
        server.stop(None).wait()
        end = time.monotonic() + 20
        while not client.problem and time.monotonic() < end:
            time.sleep(0.05)
        assert client.problem
        ports.intervals()
        server, _ = serve(Switch([2]), port)
        assert wait(ports, 2)
    server.stop(None)


@pytest.mark.server
def test_a_subscription_that_falls_silent_is_asked_for_anew() -> None:
    pytest.importorskip("pygnmi", reason=WITHOUT)
    switch = Switch([2])
    switch.until = 3
    server, port = serve(switch)
    ports = GnmiPorts()
    client = GnmiClient(Target("127.0.0.1", port, tls=False), ports, again_s=0.1, silent_s=0.5)
    with client:
        assert wait(ports, 2)
        end = time.monotonic() + 20
        while not client.problem and time.monotonic() < end:
            time.sleep(0.02)
        assert client.problem == "no update for 0.5 s"
        switch.until = 1 << 30
        ports.intervals()
        assert wait(ports, 2)
        assert client.problem == ""
    assert len(switch.asked) >= 2
    server.stop(None)


@pytest.mark.server
def test_a_certificate_must_be_one_to_trust(tmp_path: Path) -> None:
    grpc = pytest.importorskip("grpc", reason=WITHOUT)
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key)]
    subprocess.run([*command, "-out", str(certificate)], check=True, capture_output=True)
    pair = [(key.read_bytes(), certificate.read_bytes())]
    server, port = serve(Switch([2]), credentials=grpc.ssl_server_credentials(pair))
    ports = GnmiPorts()
    with GnmiClient(Target("localhost", port, ca=str(certificate)), ports):
        assert wait(ports, 2)
    strict = GnmiPorts()
    with GnmiClient(Target("localhost", port), strict) as client:
        end = time.monotonic() + 20
        while not client.problem and time.monotonic() < end:
            time.sleep(0.05)
        assert client.problem
    assert strict.intervals() == []
    server.stop(None)


def test_targets() -> None:
    target = parse_target("gnmi://a:b%40c@leaf1:6030?ca=x.pem", {})
    assert target == Target("leaf1", 6030, "a", "b@c", True, "x.pem")
    named = {"GNMI_USERNAME": "u", "GNMI_PASSWORD": "p"}
    assert parse_target("gnmi://[::1]?tls=off", named) == Target("::1", 9339, "u", "p", False)
    assert parse_target("gnmi://[::1]").address == "[::1]:9339"
    assert "secret" not in repr(parse_target("gnmi://me:secret@leaf1"))
    for text in ("leaf1", "http://leaf1", "gnmi://", "gnmi://me:secret@leaf1:x", "gnmi://l?tls=no",
                 "gnmi://me:secret@leaf1?x=1", "gnmi://[", "gnmi://leaf1/path"):  # fmt: skip
        with pytest.raises(ConfigError) as error:
            parse_target(text, {})
        assert "secret" not in str(error.value)


def test_a_missing_file_is_said_in_a_sentence() -> None:
    pytest.importorskip("pygnmi", reason=WITHOUT)
    with pytest.raises(ConfigError, match=r"nosuch.pem cannot be read"):
        GnmiClient(Target("leaf1", ca="nosuch.pem"), GnmiPorts()).open()


def test_differences() -> None:
    ports = GnmiPorts(max_ports=1)
    ports.take("leaf1", "e1", 10, {"in-octets": 5, "in-unicast-pkts": "1", "out-errors": 0})
    ports.take("leaf1", "e2", 10, {"in-octets": 5})
    assert (ports.intervals(), ports.left_out) == ([], 1)
    assert ports.intervals() == []
    ports.take("leaf1", "e1", 30, {"in-octets": 25, "in-unicast-pkts": "4", "out-errors": 2})
    ports.take("leaf1", "e1", 30, {"port-speed": "SPEED_2500MB", "oper-status": "DOWN", "mtu": 9})
    up, down = ports.intervals()
    assert (up.bytes, up.packets, up.interval_ns, up.rate_gbps) == (20, 3, 20, 2.5)
    assert (down.errors, up.notes) == (2, ("is down",))
    ports.take("leaf1", "e1", 40, {"in-octets": 1})
    assert ports.intervals() == []
    ports.take("leaf1", "e1", 50, {"in-octets": 3})
    assert ports.intervals()[0].bytes == 2
