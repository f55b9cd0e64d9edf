"""What `live` shows of counters, which do not know everything a mirror knows."""

import io

from rich.console import Console

from fabricscope.cli.live_view import LiveView
from fabricscope.collectors.ports import PortInterval
from fabricscope.pipeline.live.judging import SecondJudge
from fabricscope.pipeline.live.naming import Naming
from fabricscope.pipeline.live.ports import port_samples
from fabricscope.pipeline.live.session import Second

SECOND_NS = 1_000_000_000


def test_unknown_rates_and_long_intervals() -> None:
    intervals = [
        PortInterval("leaf0 port 1", "up", 20 * SECOND_NS, 10.0, bytes=5_000_000_000),
        PortInterval("leaf0 port 2", "up", 20 * SECOND_NS, None, bytes=5_000_000_000),
    ]
    links = [
        port_samples(0, "here", "sflow", intervals, Naming()),
        port_samples(0, "here", "counters", [PortInterval("eth0", "up", SECOND_NS)], Naming()),
    ]
    console = Console(file=io.StringIO(), force_terminal=True, width=120, height=40)
    judge = SecondJudge("here", Naming())
    with LiveView(console, "here", None, enabled=True) as view:
        for start, frame in enumerate(links):
            view.show(Second(start, start + SECOND_NS, {"link_samples": frame}, judge))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    known = next(line for line in lines if "leaf0 port 1" in line).split()
    assert known[known.index("100") + 1 :][:3] == ["2.000", "20%", "-"]
    unknown = next(line for line in lines if "leaf0 port 2" in line).split()
    assert "5.000" not in unknown
    assert unknown.count("-") >= 3


def test_what_found_no_room_is_told() -> None:
    console = Console(file=io.StringIO(), width=400)
    judge = SecondJudge("here", Naming())
    judge.left_out = {"packets_without_link": 12_000, "transfers": 0, "flows_evicted": 7}
    with LiveView(console, "here", None, enabled=True) as view:
        view.show(Second(0, SECOND_NS, {}, judge))
    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    assert "no room for 12,000 packets without link, 7 flows evicted" in said
