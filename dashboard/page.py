"""Pages that need no network: what they have in common, how they are rendered and written.

What a page says is in the module of its command: report.py, simulation.py, fabric_page.py. Texts
from packets, files and names are escaped by the templates, and those inside figures by the figure
functions; the pages' own policy forbids them to load anything.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from fabricscope import __version__
from fabricscope.dashboard.columns import Table
from fabricscope.dashboard.evidence import list_evidence
from fabricscope.dashboard.figures.drawing import CONFIG
from fabricscope.dashboard.figures.palette import DARK, LIGHT
from fabricscope.dashboard.plain_text import neutralise
from fabricscope.dashboard.quantities import format_count, format_duration
from fabricscope.dashboard.summary import Total, Verdict
from fabricscope.errors import ConfigError

ROWS_LIMIT: Final = 1000
"""Most rows of one table; the JSON document has them all."""


class Panel(NamedTuple):
    """One figure on the page; a `wide` one takes the full width."""

    name: str
    title: str
    figure: go.Figure
    wide: bool = False
    note: str = ""


class Bar(NamedTuple):
    """One row of a list of bars: its packets, its share as text and as 0..100 of the width."""

    name: str
    packets: int
    share: str
    width: float


class Section(NamedTuple):
    """A chapter of the page: a sentence and numbers, figures, tables. Its name is its anchor.

    `tone` is that of the sentence: a severity or `ok`. `bars` are drawn beside the figures, under
    a title and a note.
    """

    name: str
    title: str
    panels: tuple[Panel, ...] = ()
    tables: tuple[Table, ...] = ()
    lead: str = ""
    tone: str = "ok"
    facts: tuple[Total, ...] = ()
    footnote: str = ""
    bars: tuple[Bar, ...] = ()
    bars_title: tuple[str, str] = ("", "")


class Page(NamedTuple):
    """What every page has: a verdict under one word, remarks under a title, totals, chapters.

    `lost` packets mark the numbers that they distort. Definitions are terms and explanations.
    """

    title: str
    word: str
    verdict: Verdict
    totals: Sequence[Total]
    sections: Sequence[Section]
    definitions: Sequence[tuple[str, str]]
    remarks_title: str
    remarks: Sequence[str]
    lost: int = 0


def render_page(template: str, page: Page, **values: object) -> str:
    """Return the page as the text of one HTML file; `values` are what only `template` asks for."""
    environment = Environment(
        loader=PackageLoader("fabricscope.dashboard", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        plain=neutralise, count=format_count, duration=format_duration, evidence=list_evidence
    )
    figures = {
        "light": LIGHT.to_plotly_json(),
        "dark": DARK.to_plotly_json(),
        "config": {**CONFIG, "displayModeBar": True},
        "figures": [
            {"name": panel.name, "figure": json.loads(panel.figure.to_json())}
            for section in page.sections
            for panel in section.panels
        ],
    }
    return environment.get_template(template).render(
        page=page,
        version=__version__,
        figures=embed_json(figures),
        plotly_js=Markup(get_plotlyjs()),
        **values,
    )


def write_page(text: str, path: str) -> None:
    """Write a rendered page to the file `path`, replacing what is there.

    Raises ConfigError if the file cannot be written.
    """
    try:
        Path(path).write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigError(
            f"The report cannot be written to {path} ({error.strerror}): name a file in a "
            "directory that exists and may be written."
        ) from error


def embed_json(value: object) -> Markup:
    """Return JSON that can stand inside a script element: no character there can end it."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
