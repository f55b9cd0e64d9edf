"""Metrics pushed over OTLP/HTTP to a receiver that reads the real protocol."""

import gzip
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from live_rows import SECOND_NS, T0, frame

from fabricscope.errors import ConfigError, DependencyError
from fabricscope.pipeline.live.metrics import MetricValues
from fabricscope.pipeline.live.opentelemetry import OpenTelemetryPush
from fabricscope.pipeline.live.session import Second

pytest.importorskip("opentelemetry.sdk", reason="needs the extra fabricscope[otel]")


@contextmanager
def receiver(status: int = 200) -> Iterator[tuple[str, list[Any]]]:
    """Take pushes; the URL and what came, as messages of the protocol."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceRequest,
        ExportMetricsServiceResponse,
    )

    came: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/metrics"
            assert self.headers["Content-Type"] == "application/x-protobuf"
            came.append(ExportMetricsServiceRequest.FromString(body))
            answer = ExportMetricsServiceResponse().SerializeToString()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", came
        finally:
            server.shutdown()
            thread.join()


def filled() -> MetricValues:
    values = MetricValues("here")
    tables = {
        "link_samples": frame("link_samples", 0, {"score": 90.0}),
        "rdma_samples": frame("rdma_samples", 0, {"ack_rtt_p50": 3.0, "ack_rtt_max": 4.5}),
    }
    values.listen(Second(T0, T0 + SECOND_NS, tables, None))  # type: ignore[arg-type]
    return values


def test_metrics_arrive() -> None:
    with receiver() as (url, came):
        with OpenTelemetryPush(url, filled(), every_s=60) as push:
            pass
        assert (push.pushed, push.failed) == (1, 0)
        (resource,) = came[0].resource_metrics
    attributes = {one.key: one.value.string_value for one in resource.resource.attributes}
    assert attributes["service.name"] == "fabricscope"
    assert attributes["service.instance.id"] == "here"
    metrics = {one.name: one for scope in resource.scope_metrics for one in scope.metrics}
    data = metrics["fabricscope.link.data"]
    assert (data.unit, data.sum.is_monotonic) == ("By", True)
    (point,) = data.sum.data_points
    assert point.as_double == 1_000_000
    assert {one.key: one.value.string_value for one in point.attributes} == {
        "link": "leaf1-spine1", "direction": "up", "source": "mirror",
    }  # fmt: skip
    waits = metrics["rdma.ack_rtt"].gauge.data_points
    assert sorted(point.as_double for point in waits) == [3e-6, 4.5e-6]


def test_it_goes_on_while_it_runs() -> None:
    with receiver() as (url, came):
        with OpenTelemetryPush(f"{url}/v1/metrics", filled(), every_s=0.1):
            end = time.monotonic() + 20
            while len(came) < 3 and time.monotonic() < end:
                time.sleep(0.02)
        assert len(came) >= 3


def test_refusals_are_counted_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with receiver(400) as (url, came), OpenTelemetryPush(url, filled(), every_s=0.1) as push:
        end = time.monotonic() + 20
        while len(came) < 3 and time.monotonic() < end:
            time.sleep(0.02)
    assert push.pushed == 0
    assert push.failed >= 3
    assert [record.message for record in caplog.records] == [push.problem]
    push.count(taken=True)
    assert push.problem == ""
    assert "again" in caplog.messages[-1]


def test_nobody_listens() -> None:
    began = time.monotonic()
    with OpenTelemetryPush("http://127.0.0.1:9", filled(), every_s=60) as push:
        pass
    assert push.pushed == 0
    assert time.monotonic() - began < 15


def test_no_url_and_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="write a URL"):
        OpenTelemetryPush("127.0.0.1:4318", filled())
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.metrics", None)
    with pytest.raises(DependencyError, match=r"pip install 'fabricscope\[otel\]'"):
        OpenTelemetryPush("http://127.0.0.1:4318", filled())
