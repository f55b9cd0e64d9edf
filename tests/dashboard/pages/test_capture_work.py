"""What a capture's page does meanwhile: analysis, packets, dissection, and their failures."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dash import no_update

from fabricscope.dashboard.pages import capture_work
from fabricscope.dashboard.pages.capture_work import Desk, describe_time, desk_of
from fabricscope.dashboard.security.roles import LOCAL, Visitor, enter, leave
from fabricscope.dashboard.site import NoStore, Site, SiteConfig
from fabricscope.dashboard.view import View
from fabricscope.errors import ConfigError

SLOW = Path(__file__).parents[3] / "pcaps/slow-link.pcap"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    shutil.copy(SLOW, tmp_path / "slow.pcap")
    (tmp_path / "photo.pcap").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    site = Site(NoStore(), None, SiteConfig(captures=tmp_path))
    assert desk_of(site) is desk_of(site)
    entered = enter(LOCAL)
    yield desk_of(site)
    leave(entered)


def view_of(**parameters: str) -> View:
    return View(0, 1, parameters=tuple(sorted(parameters.items())))


def follow(desk: Desk, view: View, trigger: str = "") -> dict[str, Any]:
    names = ("hidden", "status", "cancel", "again", "idle", "shown")
    return dict(zip(names, capture_work._follow(desk, view, trigger, None), strict=True))


def settle(desk: Desk, view: View) -> dict[str, Any]:
    for _ in range(600):
        now = follow(desk, view)
        if now["cancel"]:
            return now
        time.sleep(0.1)
    raise AssertionError("the analysis did not end")


def test_a_report_and_the_packets_of_its_finding(desk: Desk) -> None:
    begun = follow(desk, view_of(file="slow.pcap"))
    assert (begun["hidden"], begun["cancel"], begun["idle"]) == (False, False, False)
    ended = settle(desk, view_of(file="slow.pcap"))
    assert ended["shown"][-2] == "done"
    document = capture_work._document(desk, view_of(file="slow.pcap"))
    assert document is not None
    blamed = document["collectives"][0]["straggler"]["ip"]
    view = view_of(file="slow.pcap", host=blamed, way="up")
    for _ in range(600):
        state, note, figure, text, rows = capture_work._list(desk, view, None)
        if rows:
            break
        time.sleep(0.1)
    assert {row["src"] for row in rows} == {blamed}
    assert text.startswith(f"ip.src == {blamed} && frame.len >= 200")
    assert "Iteration" in note
    assert any(trace.name == blamed for trace in figure.data)
    assert capture_work._list(desk, view, state) == (no_update,) * 5


def test_what_is_no_capture_is_one_sentence(desk: Desk) -> None:
    ended = settle(desk, view_of(file="photo.pcap"))
    assert "problem" in ended["status"][0].className
    gone = follow(desk, view_of(file="../../etc/passwd"))
    assert "no such capture" in str(gone["status"][0].children[1].children)


def test_an_analysis_is_called_off(desk: Desk) -> None:
    view = view_of(file="slow.pcap")
    follow(desk, view)
    capture = desk.shelf.find("slow.pcap")
    assert capture is not None
    capture_work._follow(desk, view, capture_work.ids.Captures.CANCEL, None)
    task = desk.analysis(capture, begin=False)
    assert task is not None
    assert task.wait(30)
    assert task.state == "cancelled"


def test_viewers_begin_nothing(desk: Desk) -> None:
    entered = enter(Visitor("eve", "viewer"))
    try:
        shown = follow(desk, view_of(file="slow.pcap"))
        assert "only operators" in str(shown["status"][0].children[1].children)
        with pytest.raises(ConfigError, match="operator"):
            follow(desk, view_of(file="slow.pcap"), capture_work.ids.Captures.AGAIN)
    finally:
        leave(entered)


def test_times_are_utc() -> None:
    assert describe_time(86_400 * 365) == "1971-01-01 00:00"
