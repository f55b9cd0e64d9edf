"""A fabric: blocks of devices by tier, cores on top, and the bundles of links between them."""

import math
import string
from collections.abc import Mapping, Sequence
from typing import Final

import plotly.graph_objects as go

from fabricscope.dashboard.fabric_layout import Block, Bundle, Layout, name_group
from fabricscope.dashboard.figures.drawing import empty_figure, escape_label, new_figure
from fabricscope.dashboard.figures.palette import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    VERMILION,
)
from fabricscope.dashboard.quantities import format_bit_rate
from fabricscope.topology.fabric import Fabric

COLORS: Final[Mapping[str, str]] = {
    "core": PURPLE, "spine": BLUE, "leaf": GREEN, "host": ORANGE, "gpu": ORANGE,
}  # fmt: skip
_TITLES: Final = {"core": "Cores", "spine": "Spines", "leaf": "Leaves", "host": "Hosts",
                  "gpu": "GPUs"}  # fmt: skip
_LETTERS_LIMIT: Final = 150
"""Most letters of labels that fit side by side; without them blocks are named when pointed at."""
_FEW: Final = 24
_SPACE: Final = "\N{NO-BREAK SPACE}" * 2
_HOVER_LIMIT: Final = 2_000
_NAMES: Final = 6
_WIDTHS: Final = (0.8, 1.2, 1.8, 2.6, 3.6)
_TIER_PX: Final = 130
_FADED: Final = 0.55


def draw_fabric(fabric: Fabric, layout: Layout, suspects: Sequence[str] = ()) -> go.Figure:
    """Return the picture of `layout`, in which bundles of more bandwidth are drawn wider.

    suspects: names of devices to mark.
    """
    if not layout.blocks:
        return empty_figure("The fabric has no devices.")
    tiers = sorted({block.tier for block in layout.blocks})
    figure = new_figure(
        height=_TIER_PX * len(tiers) + 60,
        hovermode="closest",
        xaxis={"visible": False, "range": [-0.01, 1.01]},
        yaxis={"visible": False, "range": [tiers[0] - 0.35, tiers[-1] + 0.4]},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
    )
    _add_bundles(figure, layout)
    kinds = list(dict.fromkeys(block.kind for block in layout.blocks))
    for kind in kinds:
        _add_blocks(figure, fabric, [b for b in layout.blocks if b.kind == kind], kind, tiers)
    _add_marks(figure, fabric, layout, suspects)
    return figure


def _add_bundles(figure: go.Figure, layout: Layout) -> None:
    """Add one trace of lines for each width, and points in their middles to hover over."""
    all_gbps = [bundle.gbps for bundle in layout.bundles]
    most, least = max(all_gbps, default=1.0), min(all_gbps, default=1.0)
    by_width: dict[float, tuple[list[float | None], list[float | None]]] = {}
    for bundle in layout.bundles:
        a, b = layout.blocks[bundle.below], layout.blocks[bundle.above]
        share = math.log(bundle.gbps / least) / math.log(most / least) if most > least else 0.25
        step = round(share * (len(_WIDTHS) - 1))
        xs, ys = by_width.setdefault(_WIDTHS[step], ([], []))
        xs += [a.x, b.x, None]
        ys += [a.tier, b.tier, None]
    for width, (xs, ys) in sorted(by_width.items()):
        figure.add_scatter(
            x=xs, y=ys, mode="lines", line={"width": width, "color": GREY}, opacity=_FADED,
            hoverinfo="skip", showlegend=False,
        )  # fmt: skip
    shown = layout.bundles[:_HOVER_LIMIT]
    ends = [(layout.blocks[one.below], layout.blocks[one.above]) for one in shown]
    figure.add_scatter(
        x=[a.x + (b.x - a.x) * 0.3 for a, b in ends],
        y=[a.tier + (b.tier - a.tier) * 0.3 for a, b in ends],
        mode="markers",
        marker={"size": 7, "color": GREY, "opacity": 0},
        text=[_describe_bundle(one, *pair) for one, pair in zip(shown, ends, strict=True)],
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )


def _describe_bundle(bundle: Bundle, below: Block, above: Block) -> str:
    rates = " and ".join(format_bit_rate(rate * 1e9) for rate in bundle.rates_gbps[:3])
    links = f"{bundle.links:,} links of {rates}" if bundle.links > 1 else rates
    return f"{escape_label(below.label)} to {escape_label(above.label)}: {links}"


def _choose_labels(blocks: Sequence[Block]) -> list[str]:
    """Return a label for each block: whole, or its numbers, or none where there is no room."""
    for labels in (
        [block.label for block in blocks],
        [block.label.lstrip(string.ascii_letters) for block in blocks],
    ):
        if sum(len(label) + 2 for label in labels) <= _LETTERS_LIMIT:
            return [escape_label(label) for label in labels]
    return []


def _add_blocks(
    figure: go.Figure, fabric: Fabric, blocks: Sequence[Block], kind: str, tiers: Sequence[int]
) -> None:
    count = sum(len(block.devices) for block in blocks)
    size = 14 if len(blocks) <= _FEW else 9 if len(blocks) <= 4 * _FEW else 6
    labels = _choose_labels(blocks)
    aside = min(tiers) < blocks[0].tier < max(tiers) and len(blocks) <= _FEW
    place = "top center" if blocks[0].tier else "bottom center"
    figure.add_scatter(
        x=[block.x for block in blocks],
        y=[block.tier for block in blocks],
        mode="markers+text" if labels else "markers",
        marker={
            "symbol": "square",
            "size": size,
            "color": COLORS.get(kind, GREY),
            "line": {"width": [2.5 if len(block.devices) > 1 else 0 for block in blocks],
                     "color": GREY},
        },
        text=[f"{_SPACE}{label}" for label in labels] if aside else labels,
        textposition="middle right" if aside else place,
        customdata=[_describe_block(fabric, block) for block in blocks],
        hovertemplate="%{customdata}<extra></extra>",
        name=f"{_TITLES.get(kind, kind)} ({count:,})",
        cliponaxis=False,
    )  # fmt: skip


def _describe_block(fabric: Fabric, block: Block) -> str:
    names = [fabric.devices[number].name for number in block.devices]
    first = fabric.devices[block.devices[0]]
    places = [
        f"{what} {value}"
        for what, value in (("pod", first.pod), ("plane", first.plane))
        if value >= 0
    ]
    if len(names) == 1:
        text = names[0]
        places += [f"rail {first.rail}"] if first.rail >= 0 else []
    else:
        text = f"{block.label}: {len(names):,} devices, {name_group(names[:_NAMES])}"
        text += " and more" if len(names) > _NAMES else ""
    return escape_label(f"{text} ({', '.join(places)})" if places else text)


def _add_marks(figure: go.Figure, fabric: Fabric, layout: Layout, suspects: Sequence[str]) -> None:
    wanted = {fabric.numbers[name] for name in suspects if name in fabric.numbers}
    marked = [block for block in layout.blocks if wanted.intersection(block.devices)]
    if not marked:
        return
    figure.add_scatter(
        x=[block.x for block in marked],
        y=[block.tier for block in marked],
        mode="markers",
        marker={"symbol": "square-open", "size": 22, "color": VERMILION, "line": {"width": 2.5}},
        hoverinfo="skip",
        name="Named by a check",
    )
