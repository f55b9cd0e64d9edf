"""Metrics of `live` and `replay` for other programs: `--metrics` and `--otel`."""

from collections.abc import Callable
from contextlib import ExitStack

from fabricscope.config import LiveSettings
from fabricscope.pipeline.live.alerts import AlertWatch
from fabricscope.pipeline.live.session import Second
from fabricscope.recorder import Recorder

__all__ = ["open_exports"]


def open_exports(
    settings: LiveSettings,
    alerts: AlertWatch,
    recorder: Recorder | None,
    stack: ExitStack,
) -> list[Callable[[Second], None]]:
    """Open the endpoint and begin to push, as asked; return who must hear each second.

    Raises ConfigError for what cannot be opened, DependencyError for a package that is missing.
    """
    if not (settings.metrics or settings.otel):
        return []
    from fabricscope.pipeline.live.metrics import MetricValues, own_samples

    values = MetricValues(alerts.collector)
    values.others.append(own_samples(alerts, recorder))
    if settings.metrics:
        from fabricscope.pipeline.live.prometheus import PrometheusEndpoint

        stack.enter_context(PrometheusEndpoint(settings.metrics, values))
    if settings.otel:
        from fabricscope.pipeline.live.opentelemetry import OpenTelemetryPush

        stack.enter_context(OpenTelemetryPush(settings.otel, values))
    return [values.listen]
