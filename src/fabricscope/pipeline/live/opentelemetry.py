"""The metrics of a running collector pushed over OTLP/HTTP; needs `fabricscope[otel]`."""

import logging
import urllib.parse
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from fabricscope import __version__
from fabricscope.errors import ConfigError, DependencyError
from fabricscope.pipeline.live.metrics import METRICS, Metric, MetricValues

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Observation

__all__ = ["OpenTelemetryPush"]

EVERY_S: Final = 10.0
TIMEOUT_S: Final = 5.0
_PATH: Final = "/v1/metrics"
_LOG: Final = logging.getLogger(__name__)
_UNITS: Final = {"": "1", "dBm": "dBm"}


class OpenTelemetryPush:
    """Sends every ten seconds, in a thread; what is not taken is in the next push, as totals.

    Headers, such as of an authority, come from OTEL_EXPORTER_OTLP_HEADERS.
    """

    def __init__(self, url: str, values: MetricValues, *, every_s: float = EVERY_S) -> None:
        """Remember where to send. Raises ConfigError, DependencyError without the extra."""
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"--otel {url}: write a URL, as http://127.0.0.1:4318")
        if not parts.path.rstrip("/").endswith(_PATH):
            url = url.rstrip("/") + _PATH
        self.url = url
        self.pushed = 0
        self.failed = 0
        self.problem = ""
        self._values = values
        self._every_s = every_s
        self._sdk = _load()
        self._provider: Any = None

    def __enter__(self) -> "OpenTelemetryPush":
        """Begin to send."""
        sdk = self._sdk
        push = self

        class Exporter(sdk.OTLPMetricExporter):  # type: ignore[name-defined,misc]
            """Counts what was taken."""

            def export(self, *args: Any, **kwargs: Any) -> Any:
                result = super().export(*args, **kwargs)
                push.count(taken=result is sdk.MetricExportResult.SUCCESS)
                return result

        # The exporter warns at each attempt; what is shown is the count.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        reader = sdk.PeriodicExportingMetricReader(
            Exporter(endpoint=self.url, timeout=TIMEOUT_S),
            export_interval_millis=self._every_s * 1_000,
            export_timeout_millis=TIMEOUT_S * 1_000,
        )
        resource = sdk.Resource.create(
            {
                "service.name": "fabricscope",
                "service.version": __version__,
                "service.instance.id": self._values.collector,
            }
        )
        self._provider = sdk.MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        meter = self._provider.get_meter("fabricscope", __version__)
        for metric in METRICS.values():
            create = (
                meter.create_observable_counter if metric.counter else meter.create_observable_gauge
            )
            create(
                metric.name,
                callbacks=[self._callback(metric)],
                unit=_UNITS.get(metric.unit, metric.unit),
                description=metric.help,
            )
        return self

    def __exit__(self, *_: object) -> None:
        """Send what is there for the last time."""
        self._provider.shutdown(timeout_millis=TIMEOUT_S * 1_000)

    def count(self, *, taken: bool) -> None:
        """Count a push; say when the receiver begins to refuse, and when it takes them again."""
        if taken:
            self.pushed += 1
            if self.problem:
                _LOG.warning("--otel %s takes metrics again", self.url)
            self.problem = ""
            return
        self.failed += 1
        if not self.problem:
            self.problem = f"--otel {self.url} takes no metrics; they are sent again as totals"
            _LOG.warning("%s", self.problem)

    def _callback(self, metric: Metric) -> "Callable[[CallbackOptions], Iterable[Observation]]":
        def observe(options: "CallbackOptions") -> "Iterable[Observation]":
            for sample in self._values.samples(metric):
                attributes = dict(zip(sample.names, sample.labels, strict=True))
                yield self._sdk.Observation(sample.value, attributes)

        return observe


def _load() -> Any:
    """Return the names of the SDK that are needed. Raises DependencyError."""
    from types import SimpleNamespace

    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.metrics import Observation
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import (
            MetricExportResult,
            PeriodicExportingMetricReader,
        )
        from opentelemetry.sdk.resources import Resource
    except ModuleNotFoundError:
        raise DependencyError(
            "--otel needs OpenTelemetry, which is not installed; run "
            "pip install 'fabricscope[otel]'"
        ) from None
    return SimpleNamespace(
        OTLPMetricExporter=OTLPMetricExporter,
        Observation=Observation,
        MeterProvider=MeterProvider,
        MetricExportResult=MetricExportResult,
        PeriodicExportingMetricReader=PeriodicExportingMetricReader,
        Resource=Resource,
    )
