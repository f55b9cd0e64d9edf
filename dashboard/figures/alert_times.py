"""Alerts over time: a bar from when each began to fire until it ended."""

from typing import Final

import plotly.graph_objects as go
import polars as pl

from fabricscope.dashboard.figures.drawing import empty_figure, escape_label, new_figure
from fabricscope.dashboard.figures.live_strips import as_times, time_axis
from fabricscope.dashboard.figures.palette import BLUE, GREY, ORANGE, VERMILION

__all__ = ["draw_alerts"]

_COLORS: Final = {"critical": "#C8102E", "warning": VERMILION, "notice": ORANGE, "info": BLUE}
_LINES: Final = 12
"""Subjects that are drawn, those that fired last."""


def draw_alerts(
    history: pl.DataFrame, still: pl.DataFrame, start_ns: int, end_ns: int
) -> go.Figure:
    """Return a line for each alert; rows are those of the table `alerts`. still: what fires yet."""
    spans = _find_spans(history, still, start_ns, end_ns)
    if not spans:
        return empty_figure("No alert fired in this time range.")
    names = list(dict.fromkeys(span[0] for span in sorted(spans, key=lambda one: -one[2])))[:_LINES]
    figure = new_figure(hovermode="closest", uirevision="time", barmode="overlay", bargap=0.35)
    for severity in (*_COLORS, "other"):
        shown = [one for one in spans if one[0] in names and _level(one[3]) == severity]
        if not shown:
            continue
        figure.add_bar(
            orientation="h", name=severity, y=[escape_label(one[0]) for one in shown],
            base=as_times([one[1] for one in shown]),
            x=[max((one[2] - one[1]) / 1e6, 1) for one in shown],
            marker={"color": _COLORS.get(severity, GREY)},
            customdata=[escape_label(one[4]) for one in shown],
            hovertemplate=f"%{{y}}: {severity} from %{{base|%H:%M:%S}}<br>%{{customdata}}"
                          "<extra></extra>",
        )  # fmt: skip
    time_axis(figure, start_ns, end_ns, title_text="UTC")
    figure.update_yaxes(autorange="reversed", ticklabeloverflow="allow")
    return figure


def _level(severity: str) -> str:
    return severity if severity in _COLORS else "other"


def _find_spans(
    history: pl.DataFrame, still: pl.DataFrame, start_ns: int, end_ns: int
) -> list[tuple[str, int, int, str, str]]:
    """Return name, begin, end, severity and text of each time that an alert fired."""
    own = history.filter((pl.col("by") == "") & pl.col("since_ns").is_not_null())
    ended = {
        (row["collector"], row["rule"], row["subject"], row["since_ns"]): row
        for row in own.sort("time_ns").iter_rows(named=True)
    }
    for row in still.filter(pl.col("since_ns").is_not_null()).iter_rows(named=True):
        ended.setdefault((row["collector"], row["rule"], row["subject"], row["since_ns"]), row)
    spans = []
    for (_, rule, subject, since_ns), row in ended.items():
        until = row["time_ns"] if row["state"] == "resolved" else end_ns
        begin = max(int(since_ns), start_ns)
        if until > begin:
            name = f"{rule}: {subject}" if subject else rule
            spans.append((name, begin, int(until), str(row["severity"]), str(row["text"])))
    return spans
