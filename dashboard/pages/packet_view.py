"""Packets on a page: the rows of their list, and one of them with every field."""

from typing import Any, Final

from dash import html
from dash.development.base_component import Component

from fabricscope.dashboard.pages.grids import quantity, text
from fabricscope.dashboard.plain_text import neutralise
from fabricscope.dashboard.quantities import format_count
from fabricscope.pipeline.dissection import DissectedPacket
from fabricscope.pipeline.packets import PacketList

__all__ = ["PACKET_COLUMNS", "describe_list", "packet_rows", "show_dissection"]

PACKET_COLUMNS: Final = [
    quantity("frame", "Frame", "count", minWidth=80, maxWidth=110),
    quantity("since_us", "Time in the file", "moment", minWidth=115),
    quantity("gap_us", "After the last", "duration", minWidth=100),
    text("src", "From", minWidth=125),
    text("dst", "To", minWidth=125),
    text("protocol", "Protocol", minWidth=80),
    quantity("wire_length", "Length", "bytes", minWidth=80),
    text("info", "Info", minWidth=320, flex=4),
]
_FIELDS: Final = 2_000
_INDENT_PX: Final = 16


def packet_rows(found: PacketList) -> list[dict[str, Any]]:
    """Return the rows of the table: times since the first packet of the file, and of the list."""
    rows = found.frame.to_dicts()
    last_ns: int | None = None
    for row in rows:
        time_ns = row.pop("time_ns")
        row["id"] = str(row["frame"])
        row["since_us"] = (time_ns - found.first_ns) / 1e3
        row["gap_us"] = None if last_ns is None else (time_ns - last_ns) / 1e3
        last_ns = time_ns
    return rows


def describe_list(found: PacketList, why: str) -> str:
    """Return how many packets are listed, of how many, and why these."""
    listed = found.frame.height
    count = (
        f"{format_count(found.matched)} packets"
        if listed == found.matched
        else f"The first {format_count(listed)} of {format_count(found.matched)} packets"
    )
    return f"{count} of {format_count(found.scanned)} in the file. {why}".strip()


def show_dissection(packet: DissectedPacket) -> Component:
    """Return a packet as Wireshark tells it: a part a layer, the last two of them open."""
    captured = (
        f", {packet.captured_length:,} captured"
        if packet.captured_length < packet.wire_length
        else ""
    )
    left = _FIELDS
    parts: list[Component] = []
    for number, layer in enumerate(packet.layers):
        fields = layer.fields[:left]
        left -= len(fields)
        lines = [
            html.Div(
                neutralise(field.text, 600),
                title=neutralise(field.name, 120),
                style={"paddingLeft": f"{min(field.depth, 12) * _INDENT_PX}px"},
            )
            for field in fields
        ]
        parts.append(
            html.Details(
                [html.Summary(neutralise(layer.name, 80).upper()), html.Div(lines)],
                open=number >= len(packet.layers) - 2,
            )
        )
    head = f"Frame {packet.frame:,}, {packet.wire_length:,} bytes{captured}"
    return html.Div(
        [html.H3(head), html.P(neutralise(packet.time, 80), className="quiet"), *parts],
        className="dissection mono",
    )
