"""The Prometheus endpoint of a running collector: `GET /metrics`, read-only."""

import socket
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fabricscope import __version__
from fabricscope.errors import ConfigError
from fabricscope.pipeline.live.metrics import MetricValues, prometheus_name

__all__ = ["PrometheusEndpoint", "parse_address", "registry_of"]


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of "HOST:PORT", ":PORT" or "PORT"; this host alone unless it says more.

    Raises ConfigError.
    """
    host, _, port = text.strip().rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdecimal() or not 0 <= int(port) < 65_536:
        raise ConfigError(f"--metrics {text}: write HOST:PORT, as 127.0.0.1:9464")
    return host, int(port)


class _Values(Collector):
    def __init__(self, values: MetricValues) -> None:
        self._values = values

    def collect(self) -> Iterator[Metric]:
        """Yield every metric as it is now."""
        info = GaugeMetricFamily(
            "fabricscope_build_info", "Always 1", labels=("version", "collector")
        )
        info.add_metric((__version__, self._values.collector), 1)
        yield info
        for metric, samples in self._values.read().values():
            if not samples:
                continue
            kind: Any = CounterMetricFamily if metric.counter else GaugeMetricFamily
            family = kind(prometheus_name(metric), metric.help, labels=samples[0].names)
            for sample in samples:
                family.add_metric(sample.labels, sample.value)
            yield family
        left_out = CounterMetricFamily(
            "fabricscope_samples_left_out_total",
            "Samples without metrics, for want of room for their labels",
            labels=("table",),
        )
        for table, count in self._values.left_out().items():
            left_out.add_metric((table,), count)
        yield left_out


def registry_of(values: MetricValues) -> CollectorRegistry:
    """Return what an endpoint serves: the values, and what this process uses."""
    registry = CollectorRegistry()
    registry.register(_Values(values))
    ProcessCollector(registry=registry)
    return registry


class PrometheusEndpoint:
    """Listens from `open` on; it answers in threads of its own."""

    def __init__(self, address: str, values: MetricValues) -> None:
        """Remember where to listen. Raises ConfigError for no address."""
        self.host, self.port = parse_address(address)
        self._values = values
        self._server: Any = None
        self._thread: Any = None

    @property
    def url(self) -> str:
        """Return where the metrics are."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/metrics"

    def __enter__(self) -> "PrometheusEndpoint":
        """Open the port. Raises ConfigError when that cannot be."""
        try:
            self._server, self._thread = start_http_server(
                self.port, self.host, registry_of(self._values)
            )
        except (OSError, socket.gaierror) as error:
            raise ConfigError(
                f"--metrics {self.host}:{self.port}: {error.strerror or error}; take another port "
                "or an address of this host"
            ) from None
        self.port = self._server.server_port
        return self

    def __exit__(self, *_: object) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
