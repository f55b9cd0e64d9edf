"""The page Captures: files of the server and uploads, their reports, and down to single packets."""

import functools
from collections.abc import AsyncIterator
from typing import Any, Final

from dash import Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component
from fastapi import Request
from fastapi.responses import JSONResponse

from fabricscope.dashboard import ids
from fabricscope.dashboard.drilldown import WAYS
from fabricscope.dashboard.pages import capture_work
from fabricscope.dashboard.pages.capture_work import desk_of
from fabricscope.dashboard.pages.graphs import graph
from fabricscope.dashboard.pages.grids import grid, quantity, text
from fabricscope.dashboard.pages.packet_view import PACKET_COLUMNS
from fabricscope.dashboard.pages.page import Page
from fabricscope.dashboard.pages.states import empty_state, panel
from fabricscope.dashboard.security.roles import require_operator
from fabricscope.dashboard.shelf import Capture, Shelf
from fabricscope.dashboard.site import UPLOAD_PATH, Site
from fabricscope.dashboard.view import View, read_view
from fabricscope.errors import FabricscopeError

__all__ = ["PAGE"]

_COMMAND: Final = "fabricscope dashboard --captures DIR"
_POLL_MS: Final = 500
_COLUMNS: Final = [
    text("name", "Capture", flex=3, minWidth=220),
    text("from", "From", minWidth=90),
    quantity("size_bytes", "Size", "bytes"),
    text("modified", "Modified (UTC)", minWidth=150),
]


def _layout(site: Site, view: View) -> Component:
    desk = desk_of(site)
    captures = desk.shelf.captures()
    limit = site.config.upload_limit_bytes
    return html.Div(
        [
            dcc.Store(id=ids.Captures.UPLOADED),
            dcc.Store(id=ids.Captures.SHOWN),
            dcc.Store(id=ids.Captures.PACKETS_SHOWN),
            dcc.Store(id=ids.Captures.DISSECTED),
            dcc.Store(id=ids.Captures.SCROLL),
            dcc.Interval(id=ids.Captures.WORK, interval=_POLL_MS, disabled=True),
            panel(
                "Captures",
                html.Div(
                    [
                        html.Span(id=ids.Captures.UPLOAD_STATE, className="quiet", role="status"),
                        html.Button(
                            "Upload a capture", id=ids.Captures.UPLOAD, className="button",
                            disabled=not limit, **_data(limit=limit),
                        ),
                    ],
                    className="row panel-tools",
                ),
                *([] if captures else [_no_captures(site)]),
                grid(ids.Captures.LIST, _COLUMNS, _list_rows(desk.shelf), row_id="id",
                     without="No capture yet.",
                     height_px=230 if captures else 90),
                note=f"click one to open it; uploads up to {limit >> 20:,} MiB",
            ),
            html.Div(
                [
                    html.Div(
                        [
                            html.Div(id=ids.Captures.STATUS, className="grow"),
                            html.Button("Cancel", id=ids.Captures.CANCEL, className="button",
                                        hidden=True),
                            html.Button("Analyze again", id=ids.Captures.AGAIN,
                                        className="button", hidden=True),
                        ],
                        className="panel row",
                    ),
                    html.Div(id=ids.Captures.REPORT, className="stack"),
                    _packets_panel(view),
                    html.Div(id=ids.Captures.CHAPTERS, className="stack"),
                ],
                id=ids.Captures.FILE, className="stack", hidden=not view.parameter("file"),
            ),
        ],
        id=ids.Captures.BODY, className="stack",
    )  # fmt: skip


def _data(**values: object) -> dict[str, Any]:
    """Return attributes that scripts read."""
    return {f"data-{name}": str(value) for name, value in values.items()}


def _no_captures(site: Site) -> Component:
    if site.config.captures is None:
        return empty_state(
            "No capture folder", "The server was given no folder of captures; upload one, or "
            "start the server with the folder.", _COMMAND,
        )  # fmt: skip
    return empty_state(
        "No capture in the folder", "The server's folder holds no .pcap, .pcapng, .snoop or .erf "
        "file; put one there, or upload one.",
    )  # fmt: skip


def _list_rows(shelf: Shelf) -> list[dict[str, Any]]:
    return [
        {
            "id": one.id,
            "name": one.name,
            "from": "upload" if one.uploaded else "folder",
            "size_bytes": one.size_bytes,
            "modified": capture_work.describe_time(one.modified_s),
        }
        for one in shelf.captures()
    ]


def _packets_panel(view: View) -> Component:
    """Return the choice of packets, what they show together, the list, and one of them."""
    return panel(
        "Packets",
        html.Div(
            [
                _field(ids.Captures.HOST, "Host (address)", view.parameter("host"), 64),
                dcc.Dropdown(id=ids.Captures.WAY, value=view.parameter("way"), clearable=False,
                             options=[{"label": label, "value": way}
                                      for way, label in WAYS.items()],
                             searchable=False, className="choice"),
                _field(ids.Captures.LEAST, "At least bytes", view.parameter("least"), 5),
                _field(ids.Captures.FRAMES, "Frames: 10,12", view.parameter("frames"), 300),
                html.Button("Show", id=ids.Captures.SHOW, className="button"),
            ],
            className="row",
        ),
        html.P(id=ids.Captures.PACKETS_NOTE, className="quiet", role="status"),
        graph(ids.Captures.CURVES, 240),
        html.Div(
            [
                html.Span("Wireshark filter", className="quiet"),
                html.Code(id=ids.Captures.FILTER, className="filter grow"),
                dcc.Clipboard(target_id=ids.Captures.FILTER, title="Copy", className="copy"),
            ],
            className="row",
        ),
        html.Div(
            [
                grid(ids.Captures.PACKETS, PACKET_COLUMNS, row_id="id", height_px=380,
                     without="No packet is like that."),
                dcc.Loading(
                    html.Div(
                        html.P(capture_work.HINT, className="quiet"),
                        id=ids.Captures.DISSECTION, className="dissection-box", tabIndex="0",
                    ),
                    delay_show=300,
                ),
            ],
            className="packets",
        ),
        note="bytes that each host had sent by when, within the stretch of time that is listed",
        id=ids.Captures.PACKETS_PANEL,
    )  # fmt: skip


def _field(field_id: str, about: str, value: str, limit: int) -> Component:
    field = dcc.Input(id=field_id, placeholder=about, value=value, maxLength=limit)
    return html.Div(field, className="field", title=about)


def _register(app: Dash, site: Site) -> None:
    desk = desk_of(site)
    app.server.post(UPLOAD_PATH)(functools.partial(_receive, desk.shelf))

    @app.callback(
        Output(ids.Captures.LIST, "rowData"),
        Output(ids.URL, "search", allow_duplicate=True),
        Input(ids.Captures.UPLOADED, "data"),
        State(ids.VIEW, "data"),
        prevent_initial_call=True,
    )
    def show_upload(uploaded: dict[str, Any] | None, view: dict[str, Any] | None) -> Any:
        if not uploaded:
            return no_update, no_update
        return _list_rows(desk.shelf), f"?{read_view(view).query(file=str(uploaded['id']))}"

    @app.callback(
        Output(ids.URL, "search", allow_duplicate=True),
        Input(ids.Captures.LIST, "selectedRows"),
        State(ids.VIEW, "data"),
        prevent_initial_call=True,
    )
    def open_capture(rows: list[dict[str, Any]] | None, view: dict[str, Any] | None) -> Any:
        found = read_view(view)
        if not rows or rows[0]["id"] == found.parameter("file"):
            return no_update
        return f"?{found.query(file=str(rows[0]['id']))}"

    @app.callback(
        Output(ids.URL, "search", allow_duplicate=True),
        Input(ids.Captures.SHOW, "n_clicks"),
        State(ids.Captures.HOST, "value"),
        State(ids.Captures.WAY, "value"),
        State(ids.Captures.LEAST, "value"),
        State(ids.Captures.FRAMES, "value"),
        State(ids.VIEW, "data"),
        prevent_initial_call=True,
    )
    def choose_packets(
        clicks: object, host: str | None, way: str | None, least: str | None, frames: str | None,
        view: dict[str, Any] | None,
    ) -> Any:  # fmt: skip
        found = read_view(view)
        return "?" + found.query(
            file=found.parameter("file"), host=(host or "").strip(), way=way or "",
            least=least or "", frames=(frames or "").strip(), all="1",
        )  # fmt: skip

    capture_work.register(app, site)


async def _receive(shelf: Shelf, request: Request) -> JSONResponse:
    """Keep what a browser sends; the answer has its id, or what was wrong in one sentence."""

    async def body() -> AsyncIterator[bytes]:
        async for chunk in request.stream():
            yield chunk

    try:
        require_operator("upload captures")
        kept: Capture = await shelf.receive(request.query_params.get("name", ""), body())
    except FabricscopeError as error:
        return JSONResponse({"problem": str(error)}, status_code=400)
    return JSONResponse({"id": kept.id})


PAGE = Page("captures", "/captures", "Captures", "▤", "c", _layout, _register)
