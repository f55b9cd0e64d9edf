"""Work in a process of its own: its result, its progress, its errors, and its end."""

import os
import time
from collections.abc import Callable

import pytest

from fabricscope.beside import Cancelled, run_beside
from fabricscope.errors import ConfigError, FabricscopeError

Progress = Callable[[int, int | None], None]


def add(a: int, b: int, progress: Progress) -> tuple[int, int]:
    progress(1, 2)
    return a + b, os.getpid()


def refuse(progress: Progress) -> None:
    raise ConfigError("no such thing; take another")


def die(progress: Progress) -> None:
    os._exit(9)


def wait(progress: Progress) -> None:
    time.sleep(60)


def test_the_result_comes_from_another_process_and_progress_before_it() -> None:
    seen: list[tuple[int, int | None]] = []
    total, process = run_beside(add, (2, 3), lambda done, total: seen.append((done, total)))
    assert total == 5
    assert process != os.getpid()
    assert seen == [(1, 2)]


def test_an_error_keeps_its_type_and_its_sentence() -> None:
    with pytest.raises(ConfigError, match="no such thing; take another"):
        run_beside(refuse, ())


def test_a_process_that_dies_is_told_with_a_way_out() -> None:
    with pytest.raises(FabricscopeError, match=r"ended without a result.*take fewer"):
        run_beside(die, (), way_out="take fewer")


def test_it_is_called_off_and_does_not_take_longer_than_it_may() -> None:
    began_s = time.monotonic()
    with pytest.raises(Cancelled):
        run_beside(wait, (), cancelled=lambda: True)
    with pytest.raises(FabricscopeError, match="longer than it may; ask for less"):
        run_beside(wait, (), limit_s=0.2)
    assert time.monotonic() - began_s < 20
