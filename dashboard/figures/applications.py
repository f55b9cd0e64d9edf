"""What the traffic is, by volume: a tree map of applications and, inside, their behaviours."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import plotly.graph_objects as go

from fabricscope.dashboard.figures.drawing import TALL_PX, empty_figure, escape_label, new_figure
from fabricscope.dashboard.figures.palette import COLORWAY, GREY
from fabricscope.dashboard.quantities import format_bytes, format_share, plural

APPLICATIONS_LIMIT: Final = 40
NOT_CLASSIFIED: Final = "not classified"
FEW_TILES: Final = 3
FLAT_PX: Final = 160
"""Height of a map that has a few tiles to show."""


def draw_applications(rows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Return a tree map by bytes of `rows`, as `list_applications` returns them.

    Past `APPLICATIONS_LIMIT` applications the smallest are one tile named `others`.
    """
    rows = [row for row in rows if row["bytes"]]
    total = sum(row["bytes"] for row in rows)
    if not total:
        return empty_figure("No flows with addresses, so no applications.")
    sizes: dict[str, int] = {}
    for row in rows:
        sizes[row["application"]] = sizes.get(row["application"], 0) + row["bytes"]
    kept = sorted(sizes, key=lambda name: -sizes[name])[:APPLICATIONS_LIMIT]
    tiles = _Tiles(total)
    for index, name in enumerate(kept):
        color = GREY if name == "unknown" else COLORWAY[index % (len(COLORWAY) - 1)]
        tiles.add(f"a{index}", "", name, sizes[name], color)
        for place, row in enumerate(row for row in rows if row["application"] == name):
            behaviour = str(row["behaviour"] or NOT_CLASSIFIED).replace("_", " ")
            flows = f", {plural(row['flows'], 'flow')}"
            tiles.add(f"a{index}b{place}", f"a{index}", behaviour, row["bytes"], color, flows)
    rest = total - sum(sizes[name] for name in kept)
    if rest:
        tiles.add("others", "", f"{len(sizes) - len(kept):,} others", rest, GREY)
    figure = new_figure(
        height=TALL_PX if len(rows) > FEW_TILES else FLAT_PX,
        hovermode="closest",
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
    )
    # Text that would have to shrink below this to fit its tile is left to the hover.
    figure.update_layout(uniformtext={"minsize": 10, "mode": "hide"})
    figure.add_treemap(**tiles.trace())
    return figure


class _Tiles:
    """The columns of a tree map."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._columns: dict[str, list[Any]] = {
            name: [] for name in ("ids", "parents", "labels", "values", "customdata")
        }
        self._colors: list[str] = []

    def add(
        self, name: str, parent: str, label: str, size: int, color: str, note: str = ""
    ) -> None:
        text = f"{format_bytes(size)} ({format_share(size / self._total)})"
        values = (name, parent, escape_label(label), size, [text, note])
        for column, value in zip(self._columns.values(), values, strict=True):
            column.append(value)
        self._colors.append(color)

    def trace(self) -> dict[str, Any]:
        return {
            **self._columns,
            "branchvalues": "total",
            "marker": {"colors": self._colors, "line": {"width": 1.5}, "cornerradius": 3},
            "root": {"color": "rgba(0,0,0,0)"},
            "pathbar": {"visible": False},
            "tiling": {"pad": 2},
            "texttemplate": "%{label}<br>%{customdata[0]}",
            "hovertemplate": "%{label}: %{customdata[0]}%{customdata[1]}<extra></extra>",
        }
