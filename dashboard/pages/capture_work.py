"""What a capture's page does meanwhile: analyzes, lists packets, dissects; and shows how far it is.

Everything runs once for all browsers, in processes of their own; callbacks only look.
"""

import datetime
import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dash import ClientsideFunction, Dash, Input, Output, State, ctx, html, no_update

from fabricscope.dashboard import ids
from fabricscope.dashboard.drilldown import Asked, read_asked
from fabricscope.dashboard.figures.curves import draw_curves
from fabricscope.dashboard.figures.drawing import empty_figure
from fabricscope.dashboard.pages.graphs import placed
from fabricscope.dashboard.pages.packet_view import describe_list, packet_rows, show_dissection
from fabricscope.dashboard.pages.progress import show_progress
from fabricscope.dashboard.pages.report_view import build_chapters, build_report, build_section
from fabricscope.dashboard.pages.states import problem_state
from fabricscope.dashboard.report import build_sections
from fabricscope.dashboard.security.roles import may_operate, require_operator
from fabricscope.dashboard.shelf import Capture, Shelf
from fabricscope.dashboard.site import Site
from fabricscope.dashboard.tasks import Task, Tasks
from fabricscope.dashboard.view import View, read_view

__all__ = ["HINT", "Desk", "describe_time", "desk_of", "register"]

_GONE: Final = "There is no such capture any more; choose one from the list."
_LARGE: Final = "cut the capture into smaller ones (editcap -c)"
HINT: Final = "Click a packet to see every field of it."
_DISSECTION_S: Final = 60.0
_ENDED: Final = ("done", "failed", "cancelled")
_ONLY_OPERATORS: Final = "Nobody has analyzed this capture yet, and only operators may begin that."


@dataclass(frozen=True, eq=False)
class Desk:
    """The captures of a site and the work on them.

    Lists and single packets, which everybody may ask for, neither wait for reports nor push them
    out.
    """

    shelf: Shelf
    tasks: Tasks = field(default_factory=Tasks)
    lists: Tasks = field(default_factory=Tasks)
    dissections: Tasks = field(default_factory=lambda: Tasks(limit_s=_DISSECTION_S))

    def analysis(self, capture: Capture, *, begin: bool) -> Task | None:
        """Return the analysis of a capture, begun if it has to be and may."""
        from fabricscope.pipeline.captures import analyze_capture

        key = ("analysis", capture.signature)
        if not begin:
            return self.tasks.find(key)
        return self.tasks.begin_beside(key, analyze_capture, (str(capture.path),), _LARGE)

    def packets(self, capture: Capture, asked: Asked) -> Task:
        """Return the list of the packets that are asked for."""
        from fabricscope.pipeline.packets import list_packets

        key = ("packets", capture.signature, asked.selection)
        arguments = (str(capture.path), asked.selection)
        return self.lists.begin_beside(key, list_packets, arguments, _LARGE)

    def dissection(self, capture: Capture, frame: int) -> Task:
        """Return the dissection of one packet."""
        from fabricscope.pipeline.dissection import dissect_packet

        key = ("dissection", capture.signature, frame)
        arguments = (str(capture.path), frame)
        return self.dissections.begin_beside(key, dissect_packet, arguments, _LARGE)

    def close(self) -> None:
        """Delete the uploads."""
        self.shelf.close()


@dataclass(frozen=True)
class Shown:
    """What a browser has: the states of the report, of the list of packets, and of one packet."""

    report: Any = None
    packets: Any = None
    packet: Any = None


@functools.lru_cache(maxsize=16)
def desk_of(site: Site) -> Desk:
    """Return the one desk of a site."""
    return Desk(Shelf(site.config.captures, site.config.upload_limit_bytes))


def describe_time(seconds: float) -> str:
    """Return date and time in UTC, to the minute."""
    when = datetime.datetime.fromtimestamp(max(seconds, 0), datetime.UTC)
    return f"{when:%Y-%m-%d %H:%M}"


def register(app: Dash, site: Site) -> None:
    """Add the callbacks that follow work under way."""
    desk = desk_of(site)
    _register_report(app, desk)
    _register_packets(app, desk)


def _register_report(app: Dash, desk: Desk) -> None:
    @app.callback(
        Output(ids.Captures.FILE, "hidden"),
        Output(ids.Captures.STATUS, "children"),
        Output(ids.Captures.CANCEL, "hidden"),
        Output(ids.Captures.AGAIN, "hidden"),
        Output(ids.Captures.WORK, "disabled"),
        Output(ids.Captures.SHOWN, "data"),
        Input(ids.VIEW, "data"),
        Input(ids.Captures.WORK, "n_intervals"),
        Input(ids.Captures.CANCEL, "n_clicks"),
        Input(ids.Captures.AGAIN, "n_clicks"),
        Input(ids.Captures.DISSECTED, "data"),
        State(ids.Captures.SHOWN, "data"),
        State(ids.Captures.PACKETS_SHOWN, "data"),
    )
    def follow(
        view: Any, count: Any, cancel: Any, again: Any, packet: Any, report: Any, packets: Any
    ) -> Sequence[object]:
        shown = Shown(report, packets, packet)
        return _follow(desk, read_view(view), str(ctx.triggered_id or ""), shown)

    # Apart from what asks for progress: a browser drops an answer that is older than its next
    # question, and a report takes longer to make than the pause between two questions.
    @app.callback(
        Output(ids.Captures.REPORT, "children"),
        Output(ids.Captures.CHAPTERS, "children"),
        Input(ids.Captures.SHOWN, "data"),
        State(ids.VIEW, "data"),
    )
    def report(shown: Any, view: Any) -> Sequence[object]:
        found = read_view(view)
        document = _document(desk, found) if shown else None
        if document is None:
            return [], []
        name = found.parameter("file")
        return build_report(document, found, name), build_chapters(build_sections(document))

    @app.callback(
        Output(ids.Captures.SECTION, "children"),
        Input(ids.Captures.TABS, "value"),
        State(ids.VIEW, "data"),
    )
    def show_section(name: str | None, view: Any) -> Any:
        document = _document(desk, read_view(view))
        sections = [] if document is None else build_sections(document)
        chosen = next((one for one in sections if one.name == name), None)
        return [] if chosen is None else build_section(chosen)


def _register_packets(app: Dash, desk: Desk) -> None:
    @app.callback(
        Output(ids.Captures.PACKETS_SHOWN, "data"),
        Output(ids.Captures.PACKETS_NOTE, "children"),
        Output(ids.Captures.CURVES, "figure"),
        Output(ids.Captures.FILTER, "children"),
        Output(ids.Captures.PACKETS, "rowData"),
        Input(ids.VIEW, "data"),
        Input(ids.Captures.WORK, "n_intervals"),
        Input(ids.Captures.SHOWN, "data"),
        State(ids.Captures.PACKETS_SHOWN, "data"),
    )
    def list_chosen(view: Any, count: Any, analyzed: Any, shown: Any) -> Sequence[object]:
        return _list(desk, read_view(view), shown)

    @app.callback(
        Output(ids.Captures.HOST, "value"),
        Output(ids.Captures.WAY, "value"),
        Output(ids.Captures.LEAST, "value"),
        Output(ids.Captures.FRAMES, "value"),
        Output(ids.Captures.DISSECTED, "data", allow_duplicate=True),
        Output(ids.Captures.DISSECTION, "children", allow_duplicate=True),
        Input(ids.VIEW, "data"),
        prevent_initial_call=True,
    )
    def show_choice(view: Any) -> Sequence[object]:
        found = read_view(view)
        chosen = (found.parameter(name) for name in ("host", "way", "least", "frames"))
        return [*chosen, None, HINT]

    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("captures", "scroll"),
        Output(ids.Captures.SCROLL, "data"),
        Input(ids.Captures.PACKETS_SHOWN, "data"),
        State(ids.VIEW, "data"),
    )

    @app.callback(
        Output(ids.Captures.DISSECTED, "data"),
        Output(ids.Captures.DISSECTION, "children"),
        Input(ids.Captures.PACKETS, "selectedRows"),
        Input(ids.Captures.WORK, "n_intervals"),
        State(ids.VIEW, "data"),
        State(ids.Captures.DISSECTED, "data"),
        prevent_initial_call=True,
    )
    def dissect(rows: Any, count: Any, view: Any, shown: Any) -> Sequence[object]:
        begin = ctx.triggered_id == ids.Captures.PACKETS
        return _dissect(desk, read_view(view), rows or [], shown, begin=begin)


def _document(desk: Desk, view: View) -> dict[str, Any] | None:
    """Return the document of the view's capture once it is there."""
    capture = desk.shelf.find(view.parameter("file"))
    task = None if capture is None else desk.analysis(capture, begin=False)
    return None if task is None or task.state != "done" else task.result


def _follow(desk: Desk, view: View, trigger: str, shown: Shown) -> Sequence[object]:
    """Return what the callback sets: how far the analysis is, and what there is to show."""
    name = view.parameter("file")
    if not name:
        return True, [], True, True, True, None
    capture = desk.shelf.find(name)
    if capture is None:
        return False, [problem_state(_GONE)], True, True, True, None
    key = ("analysis", capture.signature)
    if trigger == ids.Captures.CANCEL:
        require_operator("call analyses off")
        desk.tasks.cancel(key)
    if trigger == ids.Captures.AGAIN:
        require_operator("analyze captures")
        desk.tasks.forget(key)
    known = desk.analysis(capture, begin=False)
    begin = known is None or trigger == ids.Captures.AGAIN
    task = desk.analysis(capture, begin=True) if begin and may_operate() else known
    # Only what the browser has counts: what has just ended still has to be fetched.
    idle = _is_listed(desk, capture, view, shown.packets) and _has_ended(shown.packet)
    if task is None:
        return False, [problem_state(_ONLY_OPERATORS)], True, True, idle, None
    status = show_progress(task, f"Analyzing {capture.name}", _done_text(capture, task))
    state = [*map(str, capture.signature), task.state, round(task.began_s, 3)]
    return (
        False, status, not task.going, task.going, idle and not task.going,
        state if state != shown.report else no_update,
    )  # fmt: skip


def _done_text(capture: Capture, task: Task) -> str:
    size = f"{capture.size_bytes / 1e6:,.1f} MB"
    return f"{capture.name}: {size}, analyzed in {task.took_s:.1f} s"


def _asked(desk: Desk, view: View) -> Asked | None:
    """Return which packets to list; None while that depends on an analysis under way."""
    document = _document(desk, view)
    waits = view.parameter("host") and view.parameter("all") != "1"
    if document is None and waits and not view.parameter("frames"):
        capture = desk.shelf.find(view.parameter("file"))
        task = None if capture is None else desk.analysis(capture, begin=False)
        if task is not None and task.going:
            return None
    return read_asked(view, document)


def _name_list(capture: Capture, asked: Asked) -> list[str]:
    """Return what tells a list of packets apart from others, as a browser keeps it."""
    return [*map(str, capture.signature), repr(asked.selection)]


def _is_listed(desk: Desk, capture: Capture, view: View, shown: Any) -> bool:
    """Return whether a browser has the packets that are asked for, or why there are none."""
    asked = _asked(desk, view)
    if asked is None or not shown:
        return False
    return bool(shown[:-1] == _name_list(capture, asked) and shown[-1] in _ENDED)


def _has_ended(shown: Any) -> bool:
    """Return whether a browser waits for nothing of which this is the state."""
    return not shown or shown[-1] in _ENDED


def _list(desk: Desk, view: View, shown: Any) -> Sequence[object]:
    """Return what the callback sets; nothing where it is shown already."""
    nothing = (no_update,) * 5
    capture = desk.shelf.find(view.parameter("file"))
    if capture is None:
        return nothing
    asked = _asked(desk, view)
    if asked is None:
        waiting = "Waiting for the analysis, which tells which packets matter."
        return no_update, waiting, placed(empty_figure("…")), "", []
    if _is_listed(desk, capture, view, shown):
        return nothing
    task = desk.packets(capture, asked)
    state = [*_name_list(capture, asked), task.state]
    if state == shown:
        return nothing
    if task.going:
        return state, "Looking for the packets.", placed(empty_figure("…")), "", []
    if task.state != "done":
        return state, task.problem or "Called off.", placed(empty_figure("No packets.")), "", []
    found = task.result
    begin_ns = asked.selection.start_ns or found.first_ns
    marked = asked.selection.src or asked.selection.dst or asked.selection.host
    return (
        state,
        describe_list(found, asked.why),
        placed(draw_curves(found.curves, begin_ns, marked)),
        found.display_filter or "frame",
        packet_rows(found),
    )


def _dissect(
    desk: Desk, view: View, rows: Sequence[dict[str, Any]], shown: Any, *, begin: bool
) -> Sequence[object]:
    """Return the state of the chosen packet and its fields, or that they are on their way.

    begin: whether a packet was chosen just now; else only what is under way is looked at.
    """
    nothing = no_update, no_update
    capture = desk.shelf.find(view.parameter("file"))
    if not rows or capture is None:
        return nothing
    frame = int(rows[0]["frame"])
    chosen = [*map(str, capture.signature), str(frame)]
    if not begin and (_has_ended(shown) or shown[:-1] != chosen):
        return nothing
    task = desk.dissection(capture, frame)
    state = [*chosen, task.state]
    if state == shown and not begin:
        return nothing
    if task.going:
        return state, html.P(f"Dissecting frame {frame:,} ...", className="quiet")
    if task.state != "done":
        return state, problem_state(task.problem)
    return state, show_dissection(task.result)
