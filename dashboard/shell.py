"""The frame around the pages: navigation, time range, live or paused, collectors, what is wrong.

What moves without a query happens in the browser (`assets/shell.js`). Here is what the frame is
made of, the stream of seconds that drives every page, and the choice of the page by its address.
"""

import asyncio
import logging
import time
from typing import Any, Final

from dash import ALL, ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html, set_props
from dash.development.base_component import Component

from fabricscope.dashboard import ids
from fabricscope.dashboard.data.status import Status, read_status
from fabricscope.dashboard.pages.registry import PAGES, find_page
from fabricscope.dashboard.pages.states import HIDDEN, empty_state
from fabricscope.dashboard.plain_text import neutralise
from fabricscope.dashboard.security.roles import current_visitor
from fabricscope.dashboard.site import Site
from fabricscope.dashboard.view import DEFAULT_RANGE, RANGES, read_view
from fabricscope.errors import FabricscopeError

__all__ = ["explain", "lay_out", "register"]

_log = logging.getLogger(__name__)
_SECOND_S: Final = 1.0
_UNEXPECTED: Final = (
    "The page met an error of its own, which the server's log names; other pages still work."
)
_SHORTCUTS: Final = (
    ("Space", "pause or go on"),
    ("1 ... 8", "time range, from the last minute to the last 30 days"),
    ("t", "choose from and to"),
    ("d", "dark or light"),
    ("/", "search the table of the page"),
    ("?", "this list"),
    ("Esc", "close"),
)


def lay_out() -> Component:
    """Return the frame, with room for the page."""
    return html.Div(
        [
            dcc.Location(id=ids.URL, refresh="callback-nav"),
            dcc.Store(id=ids.VIEW),
            dcc.Store(id=ids.RAW_TICK),
            dcc.Store(id=ids.TICK),
            dcc.Store(id=ids.PATH),
            dcc.Store(id=ids.PROBLEM),
            dcc.Store(id=ids.ZOOM),
            dcc.Store(id=ids.FALLBACK),
            html.A("Skip to the page", href="#page", className="skip"),
            _navigation(),
            html.Div([_head(), _strip(), _main()], className="body"),
            _help(),
            _period(),
        ],
        className="site",
    )


def _labelled(text: str) -> dict[str, Any]:
    return {"aria-label": text}


def _data(**values: str) -> dict[str, Any]:
    return {f"data-{name}": value for name, value in values.items()}


def _navigation() -> Component:
    links = [
        dcc.Link(
            [
                html.Span(page.glyph, className="glyph", **HIDDEN),
                html.Span(page.title, className="nav-title"),
            ],
            href=page.path,
            id={"type": ids.NAVIGATION, "path": page.path},
            className="nav-link",
            title=f"{page.title} (g {page.key})",
        )
        for page in PAGES
    ]
    mark = html.Div(
        [html.Span("◈", className="glyph", **HIDDEN), html.Span("Fabricscope")],
        className="brand",
    )
    return html.Nav([mark, *links], className="navigation", **_labelled("Pages"))


def _head() -> Component:
    ranges = [{"label": label, "value": name} for name, (label, _) in RANGES.items()]
    return html.Header(
        [
            html.Div(id=ids.STALE, className="badge waiting", role="status", children="Connecting"),
            html.Button(id=ids.SPAN, className="span", title="Choose from and to (t)"),
            dcc.Dropdown(
                id=ids.COLLECTOR,
                options=[{"label": "All collectors", "value": "*"}],
                value="*",
                clearable=False,
                searchable=False,
                className="choice collector",
            ),
            dcc.Dropdown(
                id=ids.RANGE,
                options=ranges,
                value=DEFAULT_RANGE,
                clearable=False,
                searchable=False,
                className="choice range",
            ),
            html.Button(
                "Pause", id=ids.LIVE, className="button", title="Pause or go on (space)"
            ),
            html.Button(
                "◐", id=ids.THEME_BUTTON, className="button icon", title="Dark or light (d)",
                **_labelled("Dark or light"),
            ),
            html.Button(
                "?", id=ids.HELP_BUTTON, className="button icon", title="Keyboard (?)",
                **_labelled("Keyboard shortcuts"),
            ),
            html.Div(id=ids.ACCOUNT, className="account"),
        ],
        className="head",
    )  # fmt: skip


def _strip() -> Component:
    return html.Div(id=ids.STRIP, className="strip", role="alert")


def _main() -> Component:
    return html.Main(html.Div(id=ids.CONTENT), id="page", tabIndex="-1")


def _help() -> Component:
    pages = [(f"g {page.key}", page.title) for page in PAGES]
    rows = [
        html.Tr([html.Td(html.Kbd(keys)), html.Td(what)]) for keys, what in (*pages, *_SHORTCUTS)
    ]
    return html.Dialog(
        [
            html.H2("Keyboard"),
            html.Table(html.Tbody(rows)),
            html.Button("Close", className="button", id=ids.HELP_CLOSE),
        ],
        id=ids.HELP,
    )


def _period() -> Component:
    """Return the choice of a stretch of time; the browser adds its own fields for times."""
    fields = [
        html.Label([html.Span(text), html.Span(className="field", **_data(name=name))])
        for text, name in (("From", "from"), ("To", "to"))
    ]
    return html.Dialog(
        [
            html.H2("From, to (UTC)"),
            html.Div(fields, className="period"),
            html.P(id=ids.PERIOD_SAID, className="problem", role="alert"),
            html.Div(
                [
                    html.Button("Show", className="button primary", id=ids.PERIOD_SHOW),
                    html.Button("Close", className="button", id=ids.PERIOD_CLOSE),
                ],
                className="row",
            ),
        ],
        id=ids.PERIOD,
    )


def explain(error: Exception) -> str:
    """Return what the strip says about an error of a callback; one of our own goes to the log."""
    if isinstance(error, FabricscopeError):
        return neutralise(error, 2_000)
    _log.error("a callback failed", exc_info=error)
    return _UNEXPECTED


def register(app: Dash, site: Site) -> None:
    """Add the callbacks of the frame to `app`."""
    _register_browser_side(app)

    @app.callback(
        Output(ids.CONTENT, "children"),
        Output(ids.PROBLEM, "data"),
        Input(ids.PATH, "data"),
        State(ids.VIEW, "data"),
    )
    def show_page(path: str | None, view: dict[str, Any] | None) -> tuple[Component, None]:
        page = find_page(path or "/")
        if page is None:
            return empty_state("There is no such page", "Choose one from the left."), None
        return page.layout(site, read_view(view)), None

    @app.callback(Output(ids.ACCOUNT, "children"), Input(ids.PATH, "data"))
    def show_account(_: str | None) -> list[Component]:
        visitor = current_visitor()
        if not visitor.name:
            return []
        out = html.Button("Log out", id=ids.LOG_OUT, className="button")
        return [html.Span(f"{visitor.name} ({visitor.role}) "), out]

    @app.callback(websocket=True, persistent=True)
    async def stream() -> None:
        socket = ctx.websocket
        while socket is not None and not socket.is_shutdown:
            set_props(ids.RAW_TICK, {"data": await asyncio.to_thread(_tick, site)})
            await asyncio.sleep(_SECOND_S - time.time() % _SECOND_S)

    @app.callback(
        Output(ids.RAW_TICK, "data"), Input(ids.FALLBACK, "data"), prevent_initial_call=True
    )
    def poll(_: object) -> dict[str, Any]:
        return _tick(site)


def _tick(site: Site) -> dict[str, Any]:
    status: Status = site.share(read_status, site.store)
    return {
        "time_ms": time.time_ns() // 1_000_000,
        "latest_ms": None if status.latest_ns is None else status.latest_ns // 1_000_000,
        "collectors": [neutralise(name, 100) for name in status.collectors],
        "problem": status.problem,
    }


def _register_browser_side(app: Dash) -> None:
    def run(name: str, *wires: object, **options: Any) -> None:
        app.clientside_callback(  # type: ignore[no-untyped-call]
            ClientsideFunction("shell", name), *wires, **options
        )

    run(
        "steer",
        Output(ids.URL, "search"),
        Output(ids.VIEW, "data"),
        Output(ids.RANGE, "value"),
        Output(ids.COLLECTOR, "value"),
        Output(ids.LIVE, "children"),
        Input(ids.URL, "pathname"),
        Input(ids.URL, "search"),
        Input(ids.RANGE, "value"),
        Input(ids.COLLECTOR, "value"),
        Input(ids.LIVE, "n_clicks"),
        Input(ids.ZOOM, "data"),
        State(ids.VIEW, "data"),
    )
    run("choosePath", Output(ids.PATH, "data"), Input(ids.VIEW, "data"), State(ids.PATH, "data"))
    run(
        "navigate",
        Output({"type": ids.NAVIGATION, "path": ALL}, "href"),
        Output({"type": ids.NAVIGATION, "path": ALL}, "className"),
        Input(ids.VIEW, "data"),
        State({"type": ids.NAVIGATION, "path": ALL}, "id"),
    )
    run(
        "head",
        Output(ids.TICK, "data"),
        Output(ids.STALE, "children"),
        Output(ids.STALE, "className"),
        Output(ids.SPAN, "children"),
        Output(ids.STRIP, "children"),
        Output(ids.COLLECTOR, "options"),
        Input(ids.RAW_TICK, "data"),
        Input(ids.VIEW, "data"),
        Input(ids.PROBLEM, "data"),
        Input(ids.FALLBACK, "data"),
        State(ids.COLLECTOR, "value"),
    )
    run(
        "zoom",
        Output(ids.ZOOM, "data"),
        Input({"type": ids.TIME_GRAPH, "name": ALL}, "relayoutData"),
        prevent_initial_call=True,
    )
