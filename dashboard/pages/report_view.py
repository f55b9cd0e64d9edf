"""The report on a capture as components: what the HTML report shows, on a page of the site."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dash import dcc, html
from dash.development.base_component import Component

from fabricscope.dashboard import ids
from fabricscope.dashboard.columns import Table
from fabricscope.dashboard.drilldown import frames_parameter
from fabricscope.dashboard.figures.drawing import CONFIG
from fabricscope.dashboard.page import Panel, Section
from fabricscope.dashboard.pages.states import panel
from fabricscope.dashboard.pages.tiles import Tile, tiles
from fabricscope.dashboard.plain_text import neutralise
from fabricscope.dashboard.summary import (
    describe_verdict,
    list_caveats,
    list_totals,
    rank_findings,
)
from fabricscope.dashboard.view import View

__all__ = ["build_chapters", "build_report", "build_section"]

_LEAST_PX: Final = 250
"""Height of a chart, below which plotly may leave no room between legend and axis."""
_FINDINGS: Final = 30
_ROWS: Final = 200
_LEVELS: Final = {"critical": "bad", "warning": "poor", "notice": "fair", "info": "unknown",
                  "ok": "good"}  # fmt: skip


def build_report(document: Mapping[str, Any], view: View, file: str) -> list[Component]:
    """Return verdict, numbers, and findings with ways to their packets."""
    verdict = describe_verdict(document)
    return [
        html.Section(
            [
                html.P(neutralise(verdict.headline, 600),
                       className=f"health {_LEVELS.get(verdict.severity, 'unknown')} verdict"),
                html.Ul([html.Li(neutralise(one, 400)) for one in verdict.reasons],
                        className="evidence"),
                *[html.P(neutralise(text, 600), className="quiet")
                  for text in list_caveats(document)],
            ],
            className="panel",
        ),
        html.Div(
            tiles([Tile(one.label, one.value, one.note) for one in list_totals(document)]),
            className="tiles",
        ),
        _findings(document, view, file),
    ]  # fmt: skip


def build_chapters(sections: Sequence[Section]) -> list[Component]:
    """Return the tabs of the report's chapters; what is in one comes when it is chosen."""
    if not sections:
        return []
    tabs = dcc.Tabs(
        [dcc.Tab(label=one.title, value=one.name) for one in sections],
        value=sections[0].name,
        id=ids.Captures.TABS,
        className="tabs",
    )
    return [html.Section([tabs, html.Div(id=ids.Captures.SECTION, className="stack")],
                         className="panel")]  # fmt: skip


def _findings(document: Mapping[str, Any], view: View, file: str) -> Component:
    findings = rank_findings(document)
    items = [_finding(one, view, file) for one in findings[:_FINDINGS]]
    hidden = len(findings) - len(items)
    more = [html.P(f"{hidden:,} more are in the JSON document.", className="quiet")]
    return panel(
        "Findings",
        html.Ul(items, className="list") if items else html.P("None.", className="quiet"),
        *(more if hidden > 0 else []),
    )


def _finding(one: Mapping[str, Any], view: View, file: str) -> Component:
    """Return what was found, what to do next, and a link to the packets that prove it."""
    href = packets_of(one, view, file)
    return html.Li(
        [
            html.Span(neutralise(one["text"], 600),
                      className=f"health {_LEVELS[one['severity']]} verdict"),
            html.Div(
                [
                    html.Span(neutralise(one["action"], 400), className="quiet"),
                    *([dcc.Link("Packets", href=href, className="button as-link")] if href else []),
                ],
                className="row",
            ),
        ]
    )  # fmt: skip


def packets_of(finding: Mapping[str, Any], view: View, file: str) -> str:
    """Return the address of a finding's packets: its frames, else those of its host."""
    if finding.get("packets"):
        return view.link("/captures", file=file, frames=frames_parameter(finding["packets"]))
    subject = str(finding["subject"])
    if finding["kind"] in ("slow_link", "compute_straggler"):
        way = "down" if "downlink" in str(finding["text"]) else "up"
        return view.link("/captures", file=file, host=subject, way=way)
    return ""


def build_section(section: Section) -> list[Component]:
    """Return a chapter: its sentence, numbers, figures and tables."""
    parts: list[Component] = []
    if section.lead:
        level = _LEVELS.get(section.tone, "good")
        parts.append(html.P(neutralise(section.lead, 600), className=f"health {level} verdict"))
    if section.facts:
        facts = [Tile(one.label, one.value, one.note) for one in section.facts]
        parts.append(html.Div(tiles(facts), className="tiles"))
    wide = [_figure(one) for one in section.panels if one.wide]
    narrow = [_figure(one) for one in section.panels if not one.wide]
    parts += wide
    if narrow:
        parts.append(html.Div(narrow, className="grid-2" if len(narrow) > 1 else ""))
    parts += [_table(table) for table in section.tables]
    if section.footnote:
        parts.append(html.P(neutralise(section.footnote, 600), className="quiet"))
    return parts


def _figure(one: Panel) -> Component:
    height = max(one.figure.layout.height or 320, _LEAST_PX)
    figure = one.figure.update_layout(height=None)
    chart = dcc.Graph(figure=figure, config=CONFIG, style={"height": f"{height}px"})  # type: ignore[arg-type]
    return html.Div([html.H3(neutralise(one.title, 200)), chart])


def _table(table: Table) -> Component:
    rows = table.rows[:_ROWS]
    head = html.Tr(
        [
            html.Th(column.title, title=column.help, className="right" if column.numeric else "")
            for column in table.columns
        ]
    )
    body = [
        html.Tr(
            [
                html.Td(neutralise(cell.text, 200), className="right" if column.numeric else "")
                for column, cell in zip(table.columns, row, strict=True)
            ]
        )
        for row in rows
    ]
    hidden = table.total - len(rows)
    note = f"{len(rows):,} of {table.total:,} rows" if hidden > 0 else ""
    return html.Div(
        [
            html.H3([neutralise(table.title, 100), html.Span(f" {note}", className="panel-note")]),
            html.Div(
                html.Table([html.Thead(head), html.Tbody(body)], className="plain"),
                className="scroll", tabIndex="0",
            ),
        ]
    )  # fmt: skip
