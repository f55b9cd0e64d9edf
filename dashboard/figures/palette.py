"""Every colour of the figures, and how figures look on light and dark ground.

The palette is that of M. Okabe and K. Ito (2008), made to be told apart by colour-blind people.
Its black is left out, since it vanishes on dark ground, and so is its yellow on light ground.
"""

from typing import Final

import plotly.graph_objects as go

BLUE: Final = "#0072B2"
SKY: Final = "#56B4E9"
ORANGE: Final = "#E69F00"
GREEN: Final = "#009E73"
VERMILION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"
GREY: Final = "#8A8F98"

COLORWAY: Final = (BLUE, ORANGE, GREEN, PURPLE, VERMILION, SKY, GREY)

_FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"


def _template(ink: str, grid: str, ground: str, colors: list[list[object]]) -> go.layout.Template:
    axis = {
        "gridcolor": grid,
        "linecolor": grid,
        "zerolinecolor": grid,
        "ticks": "outside",
        "tickcolor": grid,
        "ticklen": 4,
        "automargin": True,
        "title": {"standoff": 8},
    }
    layout = go.Layout(
        colorway=list(COLORWAY),
        font={"color": ink, "family": _FONT, "size": 12},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"bgcolor": ground, "bordercolor": grid, "font": {"color": ink}},
        xaxis=axis,
        yaxis=axis,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        coloraxis={"colorscale": colors},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": GREY, "activecolor": ink},
    )
    return go.layout.Template(layout=layout)


LIGHT: Final = _template(
    "#1d2330", "#dfe3ea", "#ffffff", [[0.0, "#e8f1f8"], [0.5, "#4a97c9"], [1.0, "#00395a"]]
)
DARK: Final = _template(
    "#e4e8f0", "#343b49", "#1a1f2a", [[0.0, "#22405a"], [0.5, "#2f7fb5"], [1.0, "#d4ecff"]]
)
