"""Subscribes to a switch's counters over gNMI and keeps the connection up.

One thread a target waits for updates; what they say is in `counters`.
"""

import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from fabricscope.collectors.gnmi.counters import GnmiPorts
from fabricscope.collectors.gnmi.targets import Target
from fabricscope.errors import ConfigError, DependencyError

__all__ = ["GnmiClient"]

AGAIN_S: Final = 5.0
"""Time before a connection that failed is tried again."""

SILENT_S: Final = 30.0
"""A subscription is asked for anew when no update came for so long: a switch that lost power, or a
firewall that forgot the connection, ends nothing. Updates are due each second."""

_LOG: Final = logging.getLogger(__name__)
_INTERVAL_NS: Final = 1_000_000_000
_PATHS: Final = (("state",), ("ethernet", "state"))
_ENCODINGS: Final = (4, 2, 0)  # JSON_IETF, PROTO, JSON: the first that the server has
_STREAM: Final = 0
_SAMPLE: Final = 2
_GREETING_S: Final = 10.0


class GnmiClient:
    """A subscription to one target's ports, each second; `open` first, `close` last."""

    def __init__(
        self,
        target: Target,
        ports: GnmiPorts,
        *,
        again_s: float = AGAIN_S,
        silent_s: float = SILENT_S,
    ) -> None:
        """Remember whom to ask and where what it says goes."""
        self.problem = ""
        self._target = target
        self._ports = ports
        self._again_s = again_s
        self._silent_s = silent_s
        self._heard_s = 0.0
        self._silent = False
        self._stopped = threading.Event()
        self._call: Any = None
        self._thread: threading.Thread | None = None
        self._certificates: bytes | None = None

    def __enter__(self) -> "GnmiClient":
        """Open."""
        self.open()
        return self

    def __exit__(self, *details: object) -> None:
        """Close."""
        self.close()

    def open(self) -> None:
        """Start the thread; a target that cannot be reached is tried again and again.

        Raises DependencyError without pygnmi, ConfigError for a file that cannot be read.
        """
        try:
            import grpc  # noqa: F401 - asked for here, where there is an answer to its absence
            import pygnmi.spec.v080.gnmi_pb2_grpc  # noqa: F401 - the same
        except ImportError:
            raise DependencyError(
                "--gnmi needs pygnmi, which is not installed; run pip install 'fabricscope[gnmi]'"
            ) from None
        if self._target.ca:
            try:
                self._certificates = Path(self._target.ca).read_bytes()
            except OSError as error:
                raise ConfigError(
                    f"--gnmi {self._target.host}: {self._target.ca} cannot be read: "
                    f"{error.strerror}; name a PEM file of certificates to trust"
                ) from error
        self._thread = threading.Thread(
            target=self._keep_asking, name=f"gnmi-{self._target.host}", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """End the subscription and the thread."""
        self._stopped.set()
        if self._call is not None:
            self._call.cancel()
        if self._thread is not None:
            self._thread.join(_GREETING_S)

    def _keep_asking(self) -> None:
        import grpc

        while not self._stopped.is_set():
            channel = self._channel()
            try:
                self._listen(channel)
                self._meet("the server ended the subscription")
            except grpc.RpcError as error:
                said = str(error.details()) if hasattr(error, "details") else str(error)
                self._meet(f"no update for {self._silent_s:g} s" if self._silent else said)
            finally:
                channel.close()
            self._stopped.wait(self._again_s)

    def _meet(self, problem: str) -> None:
        if self._stopped.is_set() or problem == self.problem:
            return
        self.problem = problem
        _LOG.warning("gNMI %s: %s; trying again", self._target.address, problem)

    def _channel(self) -> Any:
        import grpc

        if not self._target.tls:
            return grpc.insecure_channel(self._target.address)
        credentials = grpc.ssl_channel_credentials(self._certificates)
        return grpc.secure_channel(self._target.address, credentials)

    def _listen(self, channel: Any) -> None:
        """Take in updates until the connection breaks."""
        from pygnmi.spec.v080 import gnmi_pb2
        from pygnmi.spec.v080.gnmi_pb2_grpc import gNMIStub

        stub = gNMIStub(channel)
        identity = [("username", self._target.user), ("password", self._target.password)]
        metadata = identity if self._target.user else []
        known = stub.Capabilities(
            gnmi_pb2.CapabilityRequest(), metadata=metadata, timeout=_GREETING_S
        ).supported_encodings
        encoding = next((one for one in _ENCODINGS if one in known), _ENCODINGS[-1])
        ended = threading.Event()
        try:
            self._call = stub.Subscribe(self._requests(encoding, ended), metadata=metadata)
            if self._stopped.is_set():
                self._call.cancel()
            self._heard_s, self._silent = time.monotonic(), False
            threading.Thread(target=self._guard, args=(self._call, ended), daemon=True).start()
            for response in self._call:
                if response.HasField("update"):
                    self.problem = ""
                    self._heard_s = time.monotonic()
                    self._take(response.update)
        finally:
            ended.set()

    def _guard(self, call: Any, ended: threading.Event) -> None:
        """Cancel a subscription that has fallen silent."""
        while not ended.wait(self._silent_s / 10):
            if time.monotonic() - self._heard_s > self._silent_s:
                self._silent = True
                call.cancel()
                return

    def _requests(self, encoding: int, ended: threading.Event) -> Iterator[Any]:
        """Yield the one request, and keep the stream open after it."""
        from pygnmi.spec.v080 import gnmi_pb2

        every = gnmi_pb2.PathElem(name="interface", key={"name": "*"})
        paths = [
            gnmi_pb2.Path(
                elem=[
                    gnmi_pb2.PathElem(name="interfaces"),
                    every,
                    *(gnmi_pb2.PathElem(name=name) for name in names),
                ]
            )
            for names in _PATHS
        ]
        wanted = [
            gnmi_pb2.Subscription(path=path, mode=_SAMPLE, sample_interval=_INTERVAL_NS)
            for path in paths
        ]
        yield gnmi_pb2.SubscribeRequest(
            subscribe=gnmi_pb2.SubscriptionList(
                subscription=wanted, mode=_STREAM, encoding=encoding
            )
        )
        ended.wait()

    def _take(self, notification: Any) -> None:
        """Hand on the leaves of a notification, by port."""
        leaves: dict[str, dict[str, Any]] = {}
        for update in notification.update:
            elements = [*notification.prefix.elem, *update.path.elem]
            port = next((e.key["name"] for e in elements if e.name == "interface"), "")
            if port and elements:
                mine = leaves.setdefault(port, {})
                mine.update(_leaves(elements[-1].name, _value(update.val)))
        for port, values in leaves.items():
            self._ports.take(self._target.host, port, notification.timestamp, values)


def _value(value: Any) -> Any:
    """Return a typed value as Python has it, None for kinds that no counter has."""
    kind = value.WhichOneof("value")
    if kind in ("json_val", "json_ietf_val"):
        try:
            return json.loads(getattr(value, kind))
        except ValueError:
            return None
    return getattr(value, kind) if kind in ("uint_val", "int_val", "string_val") else None


def _leaves(name: str, value: Any) -> dict[str, Any]:
    """Return a subtree's leaves by their own names, without the prefix of their module."""
    if isinstance(value, dict):
        result: dict[str, Any] = {}
        for key, inner in value.items():
            result.update(_leaves(str(key), inner))
        return result
    return {name.rpartition(":")[2]: value}
