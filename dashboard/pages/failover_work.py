"""What the page Failover does meanwhile: runs an experiment, and draws fabric and results."""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dash import Dash, Input, Output, State, ctx, html, no_update
from dash.development.base_component import Component

from fabricscope.dashboard import ids
from fabricscope.dashboard.data.training import read_jobs
from fabricscope.dashboard.experiment import (
    FAILURES_LIMIT,
    SCHEMES_LIMIT,
    Experiment,
    Fabrics,
    read_experiment,
)
from fabricscope.dashboard.failover import describe_headline, list_remarks, list_totals
from fabricscope.dashboard.figures.fabric_map import FabricMap, build_map
from fabricscope.dashboard.figures.failover_map import paint, worst_loads
from fabricscope.dashboard.figures.overlay import draw_overlay
from fabricscope.dashboard.pages.graphs import placed
from fabricscope.dashboard.pages.progress import show_progress
from fabricscope.dashboard.pages.report_view import build_section
from fabricscope.dashboard.pages.tiles import Tile, tiles
from fabricscope.dashboard.plain_text import neutralise
from fabricscope.dashboard.quantities import format_clock
from fabricscope.dashboard.recorded import recorded_course, simulated_courses
from fabricscope.dashboard.security.roles import require_operator
from fabricscope.dashboard.simulation import build_sections
from fabricscope.dashboard.site import Site
from fabricscope.dashboard.tasks import Task, Tasks
from fabricscope.dashboard.view import View, read_view
from fabricscope.errors import ConfigError, FabricscopeError
from fabricscope.topology.background import run_scenario
from fabricscope.topology.fabric import Fabric

__all__ = ["Bench", "bench_of", "register"]

_LIMIT_S: Final = 900.0
"""How long an experiment may take: others wait for it."""
_MAPS_KEPT: Final = 2
_EVERY_LIMIT: Final = 600
"""Links up to which every switch is drawn by itself."""
_WINDOWS: Final = ("", "before", "during", "after")
_LOADS: Final = "loads"
_START: Final = (
    "Choose what fails and press Run: the job runs without failure, and under each scheme."
)


@dataclass(frozen=True, eq=False)
class Bench:
    """The fabrics that experiments may name, and the experiments."""

    fabrics: Fabrics
    tasks: Tasks = field(default_factory=lambda: Tasks(running=1))

    def begin(self, experiment: Experiment) -> Task:
        """Return the run of an experiment, begun if it has to be. Raises FabricError."""
        fabric = self.fabrics.find(experiment.fabric)[1]
        content = experiment.content(fabric)

        def work(
            progress: Callable[[int, int | None], None], cancelled: Callable[[], bool]
        ) -> dict[str, Any]:
            until_s = time.monotonic() + _LIMIT_S

            def stopped() -> bool:
                if time.monotonic() > until_s:
                    raise FabricscopeError(
                        f"the experiment takes longer than the {_LIMIT_S / 60:.0f} minutes it may "
                        "here; take fewer ranks or repetitions or the flow level, or run it with "
                        "fabricscope simulate"
                    )
                return cancelled()

            return run_scenario(content, progress, stopped)

        return self.tasks.begin(experiment, work)

    def drawn(self, spec: str) -> FabricMap:
        """Return the map of a fabric. Raises FabricError."""
        return _draw_map(self.fabrics.find(spec)[0])

    def names(self, spec: str, clicked: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the links or the device that a click on the map means, () for a group."""
        drawn = self.drawn(spec)
        if "number" in clicked:
            number = clicked["number"]
            return drawn.lines[number] if 0 <= number < len(drawn.lines) else ()
        names = drawn.nodes.get(str(clicked.get("id")), ())
        return names if len(names) == 1 else ()

    def close(self) -> None:
        """Delete the fabrics that were brought in."""
        self.fabrics.close()


@functools.lru_cache(maxsize=_MAPS_KEPT)
def _draw_map(fabric: Fabric) -> FabricMap:
    return build_map(fabric, len(fabric.links) <= _EVERY_LIMIT)


@functools.lru_cache(maxsize=16)
def bench_of(site: Site) -> Bench:
    """Return the one bench of a site."""
    return Bench(Fabrics(site.fabric))


def register(app: Dash, site: Site) -> None:
    """Add the callbacks that run experiments and show what came out."""
    bench = bench_of(site)
    _register_run(app, site, bench)
    _register_map(app, bench, site)

    @app.callback(
        Output(ids.Failover.OVERLAY_GRAPH, "figure"),
        Output(ids.Failover.OVERLAY_NOTE, "children"),
        Output(ids.Failover.OVERLAY, "options"),
        Input(ids.Failover.OVERLAY, "value"),
        Input(ids.Failover.SHOWN, "data"),
        Input(ids.VIEW, "data"),
    )
    def overlay(key: str | None, shown: Any, view: Any) -> Sequence[object]:
        found = read_view(view)
        return _overlay(site, found, key, _result(site, bench, found))


def _register_run(app: Dash, site: Site, bench: Bench) -> None:
    @app.callback(
        Output(ids.URL, "search", allow_duplicate=True),
        Input(ids.Failover.RUN, "n_clicks"),
        State(ids.Failover.SPEC, "value"),
        State(ids.Failover.FAILURES, "data"),
        State(ids.Failover.SCHEMES, "value"),
        State(ids.Failover.WORKLOAD, "value"),
        State(ids.Failover.ENGINE, "value"),
        State(ids.Failover.REPETITIONS, "value"),
        State(ids.Failover.TIMEOUT, "value"),
        State(ids.VIEW, "data"),
        prevent_initial_call=True,
    )
    def run(
        clicks: object, spec: Any, failures: Any, schemes: Any, workload: Any, engine: Any,
        repetitions: Any, timeout: Any, view: Any,
    ) -> str:  # fmt: skip
        require_operator("run simulations")
        chosen = Experiment(
            str(spec or "").strip(), tuple(failures or ()), tuple(schemes or ()),
            str(workload or "").strip(), str(engine or "auto"), int(repetitions or 1),
            int(timeout or 14),
        )  # fmt: skip
        query = read_view(view).query(**chosen.parameters())
        # What is run is what the address says, so that the address is the result's.
        wanted = _wanted(site, read_view(f"?{query}"))
        _check_kept(chosen, wanted)
        known = bench.tasks.find(wanted)
        if known is not None and known.state == "failed":
            bench.tasks.forget(wanted)
        bench.begin(wanted)
        return f"?{query}"

    @app.callback(
        Output(ids.Failover.STATUS, "children"),
        Output(ids.Failover.CANCEL, "hidden"),
        Output(ids.Failover.WORK, "disabled"),
        Output(ids.Failover.SHOWN, "data"),
        Output(ids.Failover.SHOWN_SCHEME, "options"),
        Output(ids.Failover.SHOWN_SCHEME, "value"),
        Output(ids.Failover.WINDOW, "value"),
        Input(ids.VIEW, "data"),
        Input(ids.Failover.WORK, "n_intervals"),
        Input(ids.Failover.CANCEL, "n_clicks"),
        Input(ids.Failover.RUN, "n_clicks"),
        State(ids.Failover.SHOWN, "data"),
    )
    def follow(view: Any, count: Any, cancel: Any, clicks: Any, shown: Any) -> Sequence[object]:
        wanted = _wanted(site, read_view(view))
        if ctx.triggered_id == ids.Failover.CANCEL:
            _cancel(bench, wanted)
        return _follow(bench, wanted, shown)

    # Apart from what asks for progress, since it takes longer than the pause between two questions.
    @app.callback(
        Output(ids.Failover.RESULT, "children"),
        Input(ids.Failover.SHOWN, "data"),
        State(ids.VIEW, "data"),
    )
    def show(shown: Any, view: Any) -> list[Component]:
        document = _result(site, bench, read_view(view)) if shown else None
        return [] if document is None else _show(document)


def _register_map(app: Dash, bench: Bench, site: Site) -> None:
    @app.callback(
        Output(ids.Failover.MAP, "elements"),
        Output(ids.Failover.MAP_NOTE, "children"),
        Input(ids.Failover.SPEC, "value"),
        Input(ids.Failover.FAILURES, "data"),
        Input(ids.Failover.WINDOW, "value"),
        Input(ids.Failover.SHOWN_SCHEME, "value"),
        State(ids.VIEW, "data"),
    )
    def draw(spec: Any, failures: Any, window: Any, scheme: Any, view: Any) -> Sequence[object]:
        document = _result(site, bench, read_view(view))
        same = _wanted(site, read_view(view)).fabric == spec
        name = _WINDOWS[int(window or 0)]
        return _draw(bench, str(spec or ""), failures or (), name, scheme,
                     document if same else None)  # fmt: skip

    @app.callback(
        Output(ids.Failover.PLAYING, "disabled"),
        Output(ids.Failover.PLAY, "children"),
        Input(ids.Failover.PLAY, "n_clicks"),
        State(ids.Failover.PLAYING, "disabled"),
        prevent_initial_call=True,
    )
    def play(clicks: object, resting: bool) -> Sequence[object]:
        return not resting, "❚❚ Stop" if resting else "▶ Play"

    @app.callback(
        Output(ids.Failover.WINDOW, "value", allow_duplicate=True),
        Input(ids.Failover.PLAYING, "n_intervals"),
        State(ids.Failover.WINDOW, "value"),
        prevent_initial_call=True,
    )
    def step(count: object, window: int | None) -> int:
        return int(window or 0) % 3 + 1


def _wanted(site: Site, view: View) -> Experiment:
    return read_experiment(view, site_fabric=site.fabric is not None)


def _check_kept(chosen: Experiment, wanted: Experiment) -> None:
    """Raise ConfigError where `wanted`, which the address holds, lacks some of `chosen`."""
    for given, kept in (
        (chosen.failures, wanted.failures),
        (chosen.schemes, wanted.schemes),
        (chosen.fabric, wanted.fabric),
        (chosen.workload, wanted.workload),
    ):
        if given and given != kept:
            raise ConfigError(
                f"the experiment is too long for an address; take at most {FAILURES_LIMIT} "
                f"failures and {SCHEMES_LIMIT} schemes, and shorter texts"
            )


def _cancel(bench: Bench, wanted: Experiment) -> None:
    """Call an experiment off. Raises ConfigError for a viewer."""
    require_operator("call simulations off")
    bench.tasks.cancel(wanted)


def _result(site: Site, bench: Bench, view: View) -> dict[str, Any] | None:
    """Return the document of the view's experiment, None while there is none."""
    task = bench.tasks.find(_wanted(site, view))
    return task.result if task is not None and task.state == "done" else None


def _follow(bench: Bench, wanted: Experiment, shown: Any) -> Sequence[object]:
    """Return what the callback sets; results only where they are others than those shown."""
    task = bench.tasks.find(wanted)
    if task is None:
        return [html.P(_START, className="quiet")], True, True, None, [], None, 0
    done = f"Simulated in {task.took_s:.1f} s."
    doing = "Simulating (runs that are over, the one without failure included)"
    status = show_progress(task, doing, done)
    state = [repr(wanted), task.state, round(task.began_s, 3)]
    head = (status, not task.going, not task.going)
    if state == shown:
        return (*head, *(no_update,) * 4)
    if task.state != "done":
        return *head, state, [], None, 0
    names = [result["recovery"] for result in task.result["results"]]
    return *head, state, names, names[0], 2


def _show(document: Mapping[str, Any]) -> list[Component]:
    """Return what came out: in a sentence, in numbers, and in the chapters of the report."""
    verdict = describe_headline(document)
    remarks = [html.Li(neutralise(text, 600)) for text in list_remarks(document)]
    sections = [one for one in build_sections(document) if one.name != _LOADS]
    return [
        html.Section(
            [
                html.P(neutralise(verdict.headline, 600), className="health fair verdict"),
                html.Ul([html.Li(neutralise(text, 600)) for text in verdict.reasons],
                        className="evidence"),
            ],
            className="panel", id="failover-verdict",
        ),
        html.Div(
            tiles([Tile(one.label, one.value, one.note) for one in list_totals(document)]),
            className="tiles",
        ),
        *[
            html.Section(
                [html.Header(html.H2(section.title), className="panel-head"),
                 *build_section(section)],
                className="panel stack",
            )
            for section in sections
        ],
        html.Section([html.H2("To bear in mind"), html.Ul(remarks, className="evidence")],
                     className="panel"),
    ]  # fmt: skip


def _draw(
    bench: Bench,
    spec: str,
    failures: Sequence[str],
    window: str,
    scheme: str | None,
    document: Mapping[str, Any] | None,
) -> Sequence[object]:
    """Return the elements of the map and what it shows in words, or what is wrong with the name."""
    try:
        fabric, _ = bench.fabrics.find(spec)
        drawn = bench.drawn(spec)
        failed = {_target(fabric, text) for text in failures}
    except FabricscopeError as error:
        return [], neutralise(error, 600)
    loads = None
    note = f"{fabric.name}: {len(fabric.devices):,} devices, {len(fabric.links):,} links"
    if document is not None and window:
        results = document["results"]
        chosen = next((one for one in results if one["recovery"] == scheme), results[0])
        loads = worst_loads(chosen["link_loads"], window)
        note += f"; loads {window} the failure under {neutralise(chosen['recovery'], 60)}"
        if not loads:
            note += " (no time passed in it)"
    return paint(drawn, failed, loads), note + "."


def _target(fabric: Fabric, failure: str) -> str:
    """Return the link or device that a failure is of, as the fabric calls it."""
    target = failure.partition("@")[0]
    if target in fabric.numbers:
        return target
    return fabric.link_names[fabric.find_link(target.replace(">", "-", 1))]


def _overlay(
    site: Site, view: View, key: str | None, document: Mapping[str, Any] | None
) -> Sequence[object]:
    """Return the figure, what is recorded in words, and the jobs that can be chosen."""
    jobs = site.read(read_jobs, view.without_parameters())
    options = [
        {"label": f"Job {neutralise(job.name, 80)}, seen by {neutralise(job.collector, 60)}",
         "value": job.key}
        for job in jobs
    ]  # fmt: skip
    chosen = next((job for job in jobs if job.key == key), None)
    recorded = None if chosen is None else recorded_course(chosen)
    simulated = [] if document is None else simulated_courses(document)
    note = "" if jobs else "No job was recorded in this time range."
    if chosen is not None:
        note = (
            "None of its iterations took much longer than those before it."
            if recorded is None or recorded.moment_ns is None
            else f"Disturbed at {format_clock(recorded.moment_ns)} UTC."
        )
    return placed(draw_overlay(simulated, recorded)), note, options
