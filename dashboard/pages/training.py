"""The page Training: who holds each job back, its iterations, bandwidth, ring and storage."""

from collections.abc import Sequence
from typing import Any, Final

import plotly.graph_objects as go
from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from fabricscope.dashboard import ids
from fabricscope.dashboard.data.rdma import read_rdma
from fabricscope.dashboard.data.training import LiveJob, read_jobs, read_storage
from fabricscope.dashboard.figures.drawing import empty_figure
from fabricscope.dashboard.figures.live_strips import draw_rates
from fabricscope.dashboard.figures.live_training import draw_bandwidths, draw_iterations
from fabricscope.dashboard.figures.palette import BLUE, ORANGE
from fabricscope.dashboard.figures.ranks import draw_ranks
from fabricscope.dashboard.holdup import Holdup, describe_holdup
from fabricscope.dashboard.pages.graphs import graph, placed
from fabricscope.dashboard.pages.grids import grid, quantity, text
from fabricscope.dashboard.pages.page import Page
from fabricscope.dashboard.pages.refresh import due_view
from fabricscope.dashboard.pages.states import empty_state, panel
from fabricscope.dashboard.pages.tiles import Tile, tiles
from fabricscope.dashboard.pages.ways import packets_link
from fabricscope.dashboard.plain_text import neutralise
from fabricscope.dashboard.quantities import (
    format_bytes,
    format_count,
    format_duration,
    format_share,
)
from fabricscope.dashboard.site import Site
from fabricscope.dashboard.spans import cover, extent
from fabricscope.dashboard.summary import Total
from fabricscope.dashboard.training import edges_of, list_job_facts, name_operation
from fabricscope.dashboard.view import View

__all__ = ["PAGE"]

_COMMAND: Final = (
    "sudo fabricscope live --interface MIRROR_PORT --store DIR\n"
    "fabricscope replay CAPTURE --store DIR"
)
_CARDS: Final = 12
_COLUMNS: Final = [
    text("operation", "Operation"),
    text("algorithm", "Algorithm"),
    quantity("ranks", "Ranks", "count"),
    quantity("message_bytes", "Message", "bytes"),
    quantity("iterations", "Iterations", "count"),
    quantity("duration_p50", "Duration p50", "duration"),
    quantity("duration_p99", "Duration p99", "duration"),
    quantity("algbw_gbps", "algbw, median", "rate"),
    quantity("busbw_gbps", "busbw, median", "rate"),
    quantity("held", "Held back", "count"),
    text("straggler", "By whom", minWidth=150),
]


def _layout(site: Site, view: View) -> Component:
    named = ids.time_graph
    return html.Div(
        [
            html.Div(
                empty_state(
                    "No training job in this time range",
                    "Jobs are recognised by the collectives of their ranks (RDMA or Gloo over "
                    "TCP), within 5 s of the second iteration. Choose a longer range, or let a "
                    "collector watch a mirror port or play a capture.",
                    _COMMAND,
                ),
                id=ids.Training.EMPTY, hidden=True,
            ),
            html.Div(
                [
                    html.Div(id=ids.Training.VERDICTS, className="stack"),
                    html.Div(id=ids.Training.FACTS, className="tiles"),
                    panel("Iterations", graph(named(ids.Training.ITERATIONS), 240),
                          note="a bar an iteration; a row a rank is in the report of a capture"),
                    html.Div(
                        [
                            panel("Bandwidth", graph(named(ids.Training.BANDWIDTH), 340),
                                  note="busbw and algbw as nccl-tests define them"),
                            panel("Who sends to whom", graph(ids.Training.RANKS, 340),
                                  note="the straggler is a diamond, a slow link is dashed"),
                        ],
                        className="grid-2",
                    ),
                    panel("Data set reads and checkpoints",
                          graph(named(ids.Training.STORAGE), 180),
                          note="by the behaviour of the ranks' flows to storage"),
                    panel("Collectives", grid(ids.Training.TABLE, _COLUMNS, row_id="id",
                                              height_px=200)),
                ],
                id=ids.Training.BODY, className="stack", hidden=True,
            ),
        ]
    )  # fmt: skip


def _register(app: Dash, site: Site) -> None:
    named = ids.time_graph

    @app.callback(
        Output(ids.Training.EMPTY, "hidden"),
        Output(ids.Training.BODY, "hidden"),
        Output(ids.Training.VERDICTS, "children"),
        Output(ids.Training.FACTS, "children"),
        Output(named(ids.Training.ITERATIONS), "figure"),
        Output(named(ids.Training.BANDWIDTH), "figure"),
        Output(ids.Training.RANKS, "figure"),
        Output(named(ids.Training.STORAGE), "figure"),
        Output(ids.Training.TABLE, "rowData"),
        Input(ids.TICK, "data"),
        Input(ids.VIEW, "data"),
    )
    def show(tick: dict[str, Any] | None, view: dict[str, Any] | None) -> Sequence[object]:
        return site.share(_draw, site, due_view(view, tick))


def _draw(site: Site, view: View) -> Sequence[object]:
    """Return what the callback shows, once for all browsers that look at the same."""
    plain = view.without_parameters()
    jobs = site.read(read_jobs, plain)
    if not jobs:
        nothing = placed(empty_figure("No job."))
        return False, True, [], [], nothing, nothing, nothing, nothing, []
    wanted = view.parameter("job")
    chosen = next((job for job in jobs if job.key == wanted), jobs[0])
    ranks = tuple(chosen.job.ranks)
    matrix = site.read(read_rdma, plain).matrix
    start, end = view.start_ns, view.end_ns
    return (
        True,
        False,
        _cards(site, plain, jobs, chosen),
        tiles([_tile(total) for total in (*list_job_facts(chosen.job), *_facts(chosen))]),
        placed(draw_iterations(chosen, start, end)),
        placed(draw_bandwidths(chosen, start, end)),
        placed(draw_ranks(chosen.job, edges_of(chosen.job, {"traffic_matrix": matrix}))),
        placed(_draw_storage(site, plain, ranks)),
        [_row(number, one) for number, one in enumerate(chosen.job.collectives)],
    )  # fmt: skip


def _draw_storage(site: Site, view: View, ranks: tuple[str, ...]) -> go.Figure:
    storage = site.read(read_storage, view, ranks)
    if storage is None:
        return empty_figure("No flow of these ranks reads a data set or writes checkpoints.")
    named = (("dataset_read", BLUE), ("checkpoint_write", ORANGE))
    series = [(name.replace("_", " "), color, storage.bytes.get(name, [])) for name, color in named]
    return draw_rates(storage.times_ns, series, storage.interval_ns, view.start_ns, view.end_ns)


def _cards(site: Site, view: View, jobs: Sequence[LiveJob], chosen: LiveJob) -> list[Component]:
    """Return a card with the verdict on each job; that of the chosen one has its evidence."""
    cards = [_card(site, view, job, here=job.key == chosen.key) for job in jobs[:_CARDS]]
    hidden = len(jobs) - _CARDS
    if hidden > 0:
        cards.append(html.P(f"{hidden:,} more jobs are not listed.", className="quiet"))
    return cards


def _card(site: Site, view: View, job: LiveJob, *, here: bool) -> Component:
    holdup = describe_holdup(job)
    level = "bad" if holdup.suspect else "good"
    name = f"Job {neutralise(job.name, 80)}"
    about = f"{len(job.job.ranks):,} ranks, seen by {neutralise(job.collector, 80)}"
    head = [
        html.Span(neutralise(holdup.sentence, 600), className=f"health {level} verdict"),
        html.Span(about, className="panel-note"),
    ]
    title = html.Span(name) if here else dcc.Link(name, href=view.link("/training", job=job.key))
    evidence = [html.Li(neutralise(line, 600)) for line in holdup.evidence] if here else []
    ways = _ways(site, view, job, holdup) if here else []
    return html.Section(
        [
            html.Header([html.H2(title), *head], className="panel-head"),
            *([html.Ul(evidence, className="evidence")] if evidence else []),
            *([html.Div(ways, className="row")] if ways else []),
        ],
        className="panel here" if here else "panel",
    )


def _ways(site: Site, view: View, job: LiveJob, holdup: Holdup) -> list[Component]:
    """Return links from the verdict to what proves it."""
    if holdup.suspect is None:
        return []
    ip, way = holdup.suspect.ip, holdup.suspect.direction
    return [
        dcc.Link("Its packets", href=packets_link(site, view, ip, way, job.collector),
                 className="button primary as-link", id=ids.Training.PACKETS),
        dcc.Link("Its link", href=view.link("/links", link=ip), className="button as-link"),
        dcc.Link("Its queue pairs", href=view.link("/rdma"), className="button as-link"),
    ]  # fmt: skip


def _facts(job: LiveJob) -> list[Total]:
    """Return what the last look at the job and the time range add to the report's facts."""
    sample = job.sample
    facts: list[Total] = []
    spans = [(row[0], row[1]) for row in job.iterations.select("time_ns", "end_ns").iter_rows()]
    seen = extent([spans])
    if not sample and seen is not None and len(spans) > 1:
        share = cover(spans, *seen, 1)[0]
        facts.append(Total("Communication", format_share(share), "of the time, by iterations"))
    facts.append(Total("Iterations", format_count(len(spans)), "in this time range"))
    if sample and sample["checkpoints"]:
        cost = format_duration(sample["checkpoint_cost_ms"] / 1e3)
        note = f"{format_bytes(sample['checkpoint_bytes'])}, waited {cost}"
        facts.append(Total("Checkpoints", format_count(sample["checkpoints"]), note))
    if sample and sample["dataset_reads"]:
        worst = sample["dataset_ms_max"]
        slow = f", slowest {format_duration(worst / 1e3)}" if worst else ""
        note = f"{format_bytes(sample['dataset_bytes'])}{slow}"
        facts.append(Total("Data set reads", format_count(sample["dataset_reads"]), note))
    return facts


def _tile(total: Total) -> Tile:
    return Tile(total.label, total.value, total.note)


def _row(number: int, one: Any) -> dict[str, Any]:
    straggler = one["straggler"] or {}
    return {
        "id": str(number),
        "operation": name_operation(one),
        "algorithm": one["algorithm"].replace("_", "-"),
        "ranks": one["rank_count"],
        "message_bytes": one["message_bytes"],
        "iterations": one["iterations"],
        "duration_p50": (one["duration_ms"]["p50"] or 0) * 1e3,
        "duration_p99": (one["duration_ms"]["p99"] or 0) * 1e3,
        "algbw_gbps": one["algbw_gbps"],
        "busbw_gbps": one["busbw_gbps"],
        "held": one["held"],
        "straggler": f"{straggler.get('ip', '')} {straggler.get('direction', '') or ''}".strip(),
    }


PAGE = Page("training", "/training", "Training", "◷", "t", _layout, _register)
