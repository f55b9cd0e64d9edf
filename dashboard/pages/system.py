"""The page System: taps and what they lost, the store, how late samples are, versions."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import polars as pl
from dash import Dash, Input, Output, html
from dash.development.base_component import Component

from fabricscope import __version__
from fabricscope.dashboard import ids
from fabricscope.dashboard.data.status import read_status
from fabricscope.dashboard.data.system import StoreView, describe_store, tap_history, tap_states
from fabricscope.dashboard.figures.live_strips import Strip, draw_rates, draw_strips
from fabricscope.dashboard.figures.palette import BLUE, COLORWAY, GREY, ORANGE, PURPLE, VERMILION
from fabricscope.dashboard.pages.graphs import graph, placed
from fabricscope.dashboard.pages.grids import grid, quantity, text
from fabricscope.dashboard.pages.page import Page
from fabricscope.dashboard.pages.refresh import due_view
from fabricscope.dashboard.pages.states import empty_state, panel
from fabricscope.dashboard.pages.tiles import Tile, tiles
from fabricscope.dashboard.plain_text import neutralise
from fabricscope.dashboard.quantities import (
    format_bit_rate,
    format_bytes,
    format_count,
    format_duration,
)
from fabricscope.dashboard.site import MAX_POINTS, Site
from fabricscope.dashboard.view import View

__all__ = ["PAGE"]

_COMMAND: Final = (
    "sudo fabricscope live --interface MIRROR_PORT --store DIR\n"
    "fabricscope replay CAPTURE --store DIR"
)
_STORE_S: Final = 10
_LINES: Final = 8
_LEVELS: Final = (
    "everything on", "RDMA detail and jobs off", "payload off too", "batches are left out",
)  # fmt: skip
_LOSSES: Final = (
    ("dropped", "Dropped", "dropped", VERMILION),
    ("skipped", "Left out", "left out", ORANGE),
    ("duplicates", "Twice", "seen twice", GREY),
    ("truncated", "Cut", "cut", PURPLE),
    ("malformed", "Malformed", "malformed", BLUE),
)
_TAPS: Final = [
    text("collector", "Collector", minWidth=110),
    text("tap", "Tap", minWidth=140, flex=2),
    quantity("packets", "Packets/s", "count"),
    quantity("gbps", "Rate", "rate"),
    quantity("dropped", "Dropped", "count"),
    quantity("skipped", "Left out", "count"),
    quantity("duplicates", "Seen twice", "count"),
    quantity("truncated", "Cut", "count"),
    quantity("malformed", "Malformed", "count"),
    quantity("sampling", "1 in", "count", maxWidth=90),
    text("detail", "Detail", minWidth=140),
    quantity("late_us", "Behind", "duration"),
    quantity("last_ns", "Last heard (UTC)", "time", minWidth=100),
]
_PACKAGES: Final = (
    "dash", "plotly", "polars", "deltalake", "numba", "numpy", "fastapi", "uvicorn", "pyshark",
    "influxdb-client",
)  # fmt: skip


def _layout(site: Site, view: View) -> Component:
    named = ids.time_graph
    return html.Div(
        [
            html.Div(id=ids.System.TILES, className="tiles"),
            html.Div(
                empty_state(
                    "No collector has reported in this time range",
                    "A collector writes a row a second for each tap. Choose a longer range, or "
                    "start one that keeps its samples in the store of this site.",
                    _COMMAND,
                ),
                id=ids.System.EMPTY, hidden=True,
            ),
            panel("Taps", grid(ids.System.TAPS, _TAPS, row_id="id", height_px=190),
                  note="rates and counts of the newest minute"),
            html.Div(
                [
                    panel("Carried to the analyzers", graph(named(ids.System.RATES), 260)),
                    panel("Not analyzed in full", graph(named(ids.System.LOSSES), 260),
                          note="packets a second"),
                ],
                className="grid-2",
            ),
            html.Div(
                [
                    panel("Store", html.Div(id=ids.System.STORE)),
                    panel("Versions", _versions()),
                ],
                className="grid-2",
            ),
        ],
        className="stack",
    )  # fmt: skip


def _versions() -> Component:
    rows = [("Fabricscope", __version__), ("Python", platform.python_version()),
            ("System", f"{platform.system()} {platform.release()}")]  # fmt: skip
    for package in _PACKAGES:
        try:
            rows.append((package, version(package)))
        except PackageNotFoundError:
            rows.append((package, "not installed"))
    return _table([], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Component:
    body = [html.Tr([html.Td(cell) for cell in row]) for row in rows]
    titles = [html.Thead(html.Tr([html.Th(title) for title in head]))] if head else []
    return html.Table([*titles, html.Tbody(body)], className="facts number")


def _register(app: Dash, site: Site) -> None:
    @app.callback(
        Output(ids.System.EMPTY, "hidden"),
        Output(ids.System.TILES, "children"),
        Output(ids.System.TAPS, "rowData"),
        Output(ids.time_graph(ids.System.RATES), "figure"),
        Output(ids.time_graph(ids.System.LOSSES), "figure"),
        Output(ids.System.STORE, "children"),
        Input(ids.TICK, "data"),
        Input(ids.VIEW, "data"),
    )
    def show(tick: dict[str, Any] | None, view: dict[str, Any] | None) -> Sequence[object]:
        return site.share(_draw, site, due_view(view, tick, 2).without_parameters())


def _draw(site: Site, view: View) -> Sequence[object]:
    taps = site.read(tap_states, view)
    history = site.read(tap_history, view, MAX_POINTS // 2)
    kept = site.reader.keep(_STORE_S, describe_store, site.store)
    status = site.share(read_status, site.store)
    lag_s = None if status.latest_ns is None else max(0.0, (view.end_ns - status.latest_ns) / 1e9)
    return (
        taps.height > 0,
        tiles(_tiles(taps, kept, lag_s, site)),
        _rows(taps, view),
        placed(_draw_rates(history, view)),
        placed(_draw_losses(history, view)),
        _describe(kept, site),
    )


def _tiles(taps: pl.DataFrame, kept: StoreView, lag_s: float | None, site: Site) -> list[Tile]:
    dropped, skipped = int(taps["dropped"].sum()), int(taps["skipped"].sum())
    level = int(taps["level"].max() or 0) if taps.height else 0  # type: ignore[arg-type]
    late = lag_s is None or lag_s > 15
    count = f"{taps.height:,} tap{'s' * (taps.height != 1)}"
    return [
        Tile("Collectors", format_count(taps["collector"].n_unique()), count),
        Tile("Packets", f"{float(taps['packets'].sum()):,.0f} /s",
             format_bit_rate(float(taps["bits"].sum()))),
        Tile("Dropped", format_count(dropped), "packets in the newest minute",
             "bad" if dropped else "good"),
        Tile("Left out", format_count(skipped), _LEVELS[min(level, 3)],
             "poor" if skipped or level else "good"),
        Tile("Store", format_bytes(kept.size_bytes),
             neutralise(site.config.store_name or "no store", 60)),
        Tile("Newest sample", "none" if lag_s is None else f"{format_duration(lag_s)} ago", "",
             "poor" if late else "good"),
    ]  # fmt: skip


def _rows(taps: pl.DataFrame, view: View) -> list[dict[str, Any]]:
    return [
        {**row, "collector": neutralise(row["collector"], 80), "tap": neutralise(row["tap"], 80),
         "id": f"{row['collector']} {row['tap']}", "gbps": row["bits"] / 1e9,
         "detail": _LEVELS[min(row["level"] or 0, 3)],
         "late_us": max(0.0, (view.end_ns - row["last_ns"]) / 1e3)}
        for row in taps.iter_rows(named=True)
    ]  # fmt: skip


def _draw_rates(history: pl.DataFrame, view: View) -> Any:
    rows = history.with_columns(pl.concat_str("collector", "tap", separator=" ").alias("name"))
    times = rows["time_ns"].unique().sort()
    largest = rows.group_by("name").agg(pl.col("bytes").sum()).sort("bytes", descending=True)
    series = []
    for number, name in enumerate(largest["name"].head(_LINES)):
        part = rows.filter(pl.col("name") == name).group_by("time_ns").agg(pl.col("bits").sum())
        filled = (
            pl.DataFrame({"time_ns": times}).join(part, on="time_ns", how="left").sort("time_ns")
        )
        values = (filled["bits"].fill_null(0.0) / 8).to_list()
        series.append((neutralise(name, 60), COLORWAY[number % len(COLORWAY)], values))
    return draw_rates(times.to_list(), series, 1_000_000_000, view.start_ns, view.end_ns)


def _draw_losses(history: pl.DataFrame, view: View) -> Any:
    sums = (
        history.group_by("time_ns").agg(pl.col(name).sum() for name, *_ in _LOSSES).sort("time_ns")
    )
    strips = [
        Strip(title, f"{noun}/s", color, sums[name].to_list())
        for name, title, noun, color in _LOSSES
    ]
    times = sums["time_ns"].to_list()
    step_s = history["step_s"][0] if history.height else 1.0
    return draw_strips(times, strips, int(step_s * 1e9), view.start_ns, view.end_ns)


def _describe(kept: StoreView, site: Site) -> Component:
    name = html.Code(neutralise(site.config.store_name, 200))
    if kept.kind == "none":
        return html.P("No store was given: `fabricscope dashboard --store DIR` shows one.")
    if kept.kind == "database":
        return html.P(["The database ", name, "; its size is its own matter."])
    if not kept.tables:
        return html.P(["The directory ", name, " holds no tables yet."])
    rows = [
        (table.name, f"{table.rows:,}", f"{table.files:,}", format_bytes(table.size_bytes),
         f"{_day(table.first_ns)} to {_day(table.last_ns)}")
        for table in kept.tables
    ]  # fmt: skip
    return html.Div(
        [
            html.P([name, f", {format_bytes(kept.size_bytes)} in tables, "
                    f"{format_bytes(kept.free_bytes)} free on the disk"], className="quiet"),
            _table(("Table", "Rows", "Files", "Size", "From, to (UTC)"), rows),
        ]
    )  # fmt: skip


def _day(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")


PAGE = Page("system", "/system", "System", "⚙", "s", _layout, _register)
