"""What a capture's page does meanwhile: analysis, packets, dissection, and their failures."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dash import no_update

from fabricscope.dashboard.pages import capture_work
from fabricscope.dashboard.pages.capture_work import Desk, Shown, describe_time, desk_of
from fabricscope.dashboard.security.roles import LOCAL, Visitor, enter, leave
from fabricscope.dashboard.site import NoStore, Site, SiteConfig
from fabricscope.dashboard.tasks import Task, Tasks
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


def follow(desk: Desk, view: View, trigger: str = "", shown: Shown | None = None) -> dict[str, Any]:
    names = ("hidden", "status", "cancel", "again", "idle", "shown")
    answer = capture_work._follow(desk, view, trigger, shown or Shown())
    return dict(zip(names, answer, strict=True))


def settle_list(desk: Desk, view: View) -> Any:
    for _ in range(600):
        answer = capture_work._list(desk, view, None)
        if answer[0] is not no_update and answer[0][-1] == "done":  # type: ignore[index]
            return answer
        time.sleep(0.1)
    raise AssertionError("the list did not end")


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
    state, note, figure, text, rows = settle_list(desk, view)
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
    entered = enter(Visitor("eve", "viewer"))
    with pytest.raises(ConfigError, match="operator"):
        follow(desk, view, capture_work.ids.Captures.CANCEL)
    leave(entered)
    follow(desk, view, capture_work.ids.Captures.CANCEL)
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


def test_a_viewer_gets_the_packets_of_a_capture_nobody_analyzed(desk: Desk) -> None:
    view = view_of(file="slow.pcap")
    entered = enter(Visitor("eve", "viewer"))
    try:
        assert follow(desk, view)["idle"] is False
        going = capture_work._list(desk, view, None)[0]
        assert follow(desk, view, shown=Shown(packets=going))["idle"] is False
        state = settle_list(desk, view)[0]
        # What has ended but is not shown yet has to be fetched.
        assert follow(desk, view, shown=Shown(packets=going))["idle"] is False
        assert follow(desk, view, shown=Shown(packets=state))["idle"] is True
        other = view_of(file="slow.pcap", frames="1,2")
        assert follow(desk, other, shown=Shown(packets=state))["idle"] is False
    finally:
        leave(entered)


def test_a_packet_is_dissected_while_the_callback_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    view, rows = view_of(file="slow.pcap"), [{"frame": 3}]
    task = Task()
    monkeypatch.setattr(Tasks, "begin_beside", lambda *_: task)
    assert capture_work._dissect(desk, view, rows, None, begin=False) == (no_update,) * 2
    assert capture_work._dissect(desk, view, [], None, begin=True) == (no_update,) * 2
    state, shown = capture_work._dissect(desk, view, rows, None, begin=True)
    assert state[-1] == "waiting"  # type: ignore[index]
    assert "Dissecting frame 3" in str(shown)
    assert capture_work._dissect(desk, view, rows, state, begin=False) == (no_update,) * 2
    packets = ["a", "b", "c", "d", "done"]
    monkeypatch.setattr(capture_work, "_is_listed", lambda *_: True)
    assert follow(desk, view, shown=Shown(None, packets, state))["idle"] is False
    task.state, task.problem = "failed", "no such packet"
    task.ended.set()
    ended, shown = capture_work._dissect(desk, view, rows, state, begin=False)
    assert ended[-1] == "failed"  # type: ignore[index]
    assert "no such packet" in str(shown)
    assert capture_work._dissect(desk, view, rows, ended, begin=False) == (no_update,) * 2
    assert capture_work._dissect(desk, view, rows, ended, begin=True)[0] == ended
    # Another packet than the one under way is begun by a click alone.
    other = [{"frame": 4}]
    assert capture_work._dissect(desk, view, other, state, begin=False) == (no_update,) * 2


def test_reports_lists_and_packets_do_not_wait_for_each_other(desk: Desk) -> None:
    assert len({id(desk.tasks), id(desk.lists), id(desk.dissections)}) == 3


def test_times_are_utc() -> None:
    assert describe_time(86_400 * 365) == "1971-01-01 00:00"
