"""Alerts of a view: which are open at its end, what happened to them, and who keeps what quiet."""

from typing import Final

import polars as pl

from fabricscope.dashboard.data.samples import read_events
from fabricscope.dashboard.view import View
from fabricscope.pipeline.alerts import Silence, alert_changes, current_alerts, read_silences
from fabricscope.store import Store

__all__ = ["LEVELS", "alert_history", "open_alerts", "open_silences"]

LEVELS: Final = {"critical": "bad", "warning": "poor", "notice": "fair", "info": "good"}
"""How bad a severity is, as a class of health."""
HISTORY_LIMIT: Final = 5_000
"""Rows of the history that are shown, the newest ones."""


def open_alerts(store: Store, view: View) -> pl.DataFrame:
    """Return the alerts that fire at the end of the view, worst and newest first."""
    alerts = current_alerts(store, view.end_ns)
    if view.collector:
        alerts = alerts.filter(pl.col("collector") == view.collector)
    return alerts.with_columns(pl.col("since_ns").fill_null(pl.col("time_ns")))


def alert_history(store: Store, view: View) -> pl.DataFrame:
    """Return what happened to alerts in the time range, the newest first."""
    changes, _ = read_events(
        store, view, "alerts", lambda start_ns: alert_changes(store, start_ns, view.end_ns)
    )
    if view.collector:
        changes = changes.filter(pl.col("collector").is_in([view.collector, "*"]))
    return changes.sort("time_ns", descending=True).head(HISTORY_LIMIT)


def open_silences(store: Store, view: View) -> list[Silence]:
    """Return the silences that hold at the end of the view."""
    return read_silences(store, view.end_ns)
