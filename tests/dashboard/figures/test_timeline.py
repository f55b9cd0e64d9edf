"""Figures over capture time."""

import pytest
from examples.analysis import empty_document, ring_document

from fabricscope.dashboard.figures import timeline
from fabricscope.dashboard.figures.drawing import POINTS_LIMIT


def test_throughput_is_bits_per_second() -> None:
    figure = timeline.draw_throughput(
        {"bin_ns": 1_000_000, "wire_bytes": [0, 12_500_000], "rdma_payload_bytes": [0, 0]}
    )
    assert len(figure.data) == 1
    assert list(figure.data[0].y) == pytest.approx([0, 100])
    assert "Gb/s" in figure.layout.yaxis.title.text
    assert "1 ms bins" in figure.layout.yaxis.title.text
    assert figure.layout.xaxis.title.text.endswith("(ms)")


def test_events_get_a_strip_each_and_name_what_is_missing() -> None:
    part = ring_document()["timeline"]
    part["cnps"] = [0] * len(part["cnps"])
    figure = timeline.draw_events(part)
    assert [trace.name for trace in figure.data] == ["Retransmitted", "NAK", "ECN-marked", "Pause"]
    assert figure.layout.xaxis4.title.text.endswith("none: CNPs")
    assert sum(figure.data[0].y) == sum(part["retransmissions"])


def test_long_timelines_are_thinned() -> None:
    bins = 50_000
    part = dict.fromkeys(timeline.EVENTS, [0] * bins) | {"bin_ns": 1000}
    part["naks"] = [0] * 33_333 + [1] + [0] * (bins - 33_334)
    part["wire_bytes"] = list(range(bins))
    for figure in (timeline.draw_events(part), timeline.draw_throughput(part)):
        assert all(len(trace.x) <= POINTS_LIMIT for trace in figure.data)
    assert max(timeline.draw_events(part).data[0].y) == 1


def test_nothing_to_draw_is_said() -> None:
    empty = empty_document()["timeline"]
    for figure in (timeline.draw_throughput(empty), timeline.draw_events(empty)):
        assert not figure.data
        assert figure.layout.annotations[0].text.startswith("No")


def test_only_kinds_that_were_counted_are_called_absent() -> None:
    figure = timeline.draw_events({"bin_ns": 1000, "naks": [0, 0], "cnps": [0, 0]})
    assert figure.layout.annotations[0].text == "None seen: NAKs, CNPs."
