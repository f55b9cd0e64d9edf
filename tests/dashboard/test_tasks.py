"""Long work of pages: once for all, followed, called off, bounded."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from fabricscope.beside import Cancelled
from fabricscope.dashboard import tasks
from fabricscope.dashboard.tasks import Tasks
from fabricscope.errors import ConfigError

Progress = Callable[[int, int | None], None]


def double(number: int, progress: Progress) -> int:
    progress(1, 2)
    return 2 * number


def test_work_runs_once_for_all_who_ask_the_same() -> None:
    desk = Tasks()
    runs: list[int] = []

    def work(tell: Progress, cancelled: Callable[[], bool]) -> int:
        runs.append(1)
        tell(3, 4)
        return 7

    first, second = desk.begin("a", work), desk.begin("a", work)
    assert first is second
    assert first.wait(10)
    assert (first.state, first.result, first.share, runs) == ("done", 7, 0.75, [1])
    desk.forget("a")
    assert desk.find("a") is None


def test_work_in_a_process_of_its_own() -> None:
    task = Tasks().begin_beside("a", double, (21,), "try less")
    assert task.wait(60)
    assert (task.state, task.result, task.total) == ("done", 42, 2)


def wait_long(progress: Progress) -> None:
    threading.Event().wait(60)


def test_what_takes_longer_than_it_may_is_ended() -> None:
    task = Tasks(limit_s=0.1).begin_beside("a", wait_long, (), "try less")
    assert task.wait(30)
    assert task.state == "failed"
    assert "takes longer than it may; try less" in task.problem


def test_an_error_is_a_sentence_without_control_characters() -> None:
    def work(tell: Progress, cancelled: Callable[[], bool]) -> None:
        raise ConfigError("no \x1b[31m such file")

    task = Tasks().begin("a", work)
    assert task.wait(10)
    assert (task.state, task.problem) == ("failed", "no \\x1b[31m such file")


def test_it_is_called_off_also_while_it_waits_and_begins_anew() -> None:
    desk = Tasks(running=1)

    def work(tell: Progress, cancelled: Callable[[], bool]) -> None:
        while not cancelled():
            threading.Event().wait(0.01)
        raise Cancelled

    first, second = desk.begin("a", work), desk.begin("b", work)
    desk.cancel("b")
    desk.cancel("a")
    assert first.wait(10)
    assert second.wait(10)
    assert (first.state, second.state) == ("cancelled", "cancelled")
    assert desk.begin("a", lambda tell, cancelled: 1) is not first


def test_too_much_at_once_is_refused_and_old_results_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "WAITING_LIMIT", 1)
    gate = threading.Event()
    desk = Tasks(running=1, kept=1)

    def work(tell: Progress, cancelled: Callable[[], bool]) -> Any:
        return gate.wait(10)

    begun = [desk.begin(number, work) for number in range(2)]
    with pytest.raises(ConfigError, match="enough to do"):
        desk.begin(2, work)
    gate.set()
    assert all(task.wait(10) for task in begun)
    desk.begin(3, work).wait(10)
    assert desk.find(0) is None
