"""Which packets an address asks for."""

from typing import Any

from fabricscope.dashboard.drilldown import frames_parameter, read_asked
from fabricscope.dashboard.view import View

DOCUMENT: dict[str, Any] = {
    "collectives": [
        {"operation": "allreduce", "algorithm": "ring", "ranks": ["10.0.0.1", "10.0.0.2"],
         "message_bytes": 1 << 20, "iteration_spans": [[0, 9_000], [10_000, 13_000],
                                                       [20_000, 25_000]],
         "straggler": {"ip": "10.0.0.2"}},
    ]
}  # fmt: skip


def view_of(**parameters: str) -> View:
    return View(0, 1, parameters=tuple(sorted(parameters.items())))


def test_a_blamed_link_is_shown_in_its_median_iteration() -> None:
    asked = read_asked(view_of(host="10.0.0.2", way="up"), DOCUMENT)
    selection = asked.selection
    assert (selection.src, selection.dst, selection.host) == ("10.0.0.2", "", "")
    assert (selection.start_ns, selection.end_ns) == (20_000, 25_001)
    assert selection.least_bytes == 200
    assert asked.why.startswith("Iteration 3 of AllReduce ring 1 MiB")


def test_other_hosts_and_the_whole_file() -> None:
    assert read_asked(view_of(host="10.9.9.9"), DOCUMENT).selection.host == "10.9.9.9"
    whole = read_asked(view_of(host="10.0.0.2", way="down", all="1", least="9000"), DOCUMENT)
    assert (whole.selection.dst, whole.selection.start_ns) == ("10.0.0.2", 0)
    assert whole.selection.least_bytes == 9_000
    assert read_asked(view_of(), None).selection.display_filter() == ""


def test_frames_go_before_everything_and_nonsense_is_nothing() -> None:
    asked = read_asked(view_of(frames="12,15;<script>7", host="10.0.0.2", way="up"), DOCUMENT)
    assert asked.selection.frames == (12, 15, 7)
    assert asked.selection.start_ns == 0
    evil = read_asked(view_of(host='"><script>', way="sideways", least="-5"), DOCUMENT)
    assert evil.selection.display_filter() == ""


def test_an_address_takes_so_many_frames() -> None:
    text = frames_parameter(list(range(1_000_000, 1_001_000)))
    assert len(text) <= 300
    assert text.startswith("1000000,1000001")
    assert not text.endswith(",")
