"""Packets as rows, and one with every field: text from the network stays text."""

import polars as pl
from dash import html

from fabricscope.dashboard.pages.packet_view import describe_list, packet_rows, show_dissection
from fabricscope.pipeline.dissection import DissectedPacket
from fabricscope.pipeline.packets import PacketList

EVIL = "<script>alert(1)</script>"


def test_rows_have_times_since_the_file_and_the_row_before() -> None:
    frame = pl.DataFrame({"frame": [3, 9], "time_ns": [5_000, 7_500], "src": [EVIL, "b"]})
    found = PacketList(frame, 12, 40, 1_000, "")
    first, second = packet_rows(found)
    assert (first["id"], first["since_us"], first["gap_us"]) == ("3", 4.0, None)
    assert (second["since_us"], second["gap_us"]) == (6.5, 2.5)
    assert describe_list(found, "Why.") == "The first 2 of 12 packets of 40 in the file. Why."
    assert describe_list(PacketList(frame, 2, 40, 0, ""), "") == "2 packets of 40 in the file."


def test_fields_are_text_indented_by_depth() -> None:
    class Field:
        name, text, depth = "lldp.name", EVIL, 2

    class Layer:
        name, fields = "lldp", (Field,)

    packet = DissectedPacket(7, "now", 100, 60, (Layer, Layer, Layer))  # type: ignore[arg-type]
    head, _, *layers = show_dissection(packet).children
    assert head.children == "Frame 7, 100 bytes, 60 captured"
    assert [layer.open for layer in layers] == [False, True, True]
    line = layers[0].children[1].children[0]
    assert isinstance(line, html.Div)
    assert line.children == EVIL
    assert line.style == {"paddingLeft": "32px"}
