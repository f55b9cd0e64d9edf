"""Answers that are shared: while fresh, also by those who ask at once; errors too."""

import gc
import threading
import time
import weakref

import pytest

from fabricscope.dashboard.data.reading import Reader
from fabricscope.errors import StoreError


def test_twenty_at_once_cost_one_call() -> None:
    reader = Reader()
    calls: list[int] = []

    def slow(number: int) -> int:
        calls.append(number)
        time.sleep(0.1)
        return number * 2

    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(reader.read(slow, 4))) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [8] * 20
    assert calls == [4]


def test_answers_go_stale() -> None:
    reader = Reader(fresh_s=0.01)
    times = [reader.read(time.perf_counter)]
    time.sleep(0.02)
    times.append(reader.read(time.perf_counter))
    assert times[0] != times[1]


def test_an_error_is_an_answer() -> None:
    reader = Reader()
    calls = []

    def fail() -> None:
        calls.append(1)
        raise StoreError("away")

    for _ in range(3):
        with pytest.raises(StoreError, match="away"):
            reader.read(fail)
    assert len(calls) == 1


def test_the_longest_unused_go_first() -> None:
    reader = Reader(capacity=2)
    calls: list[int] = []

    def note(number: int) -> int:
        calls.append(number)
        return number

    for number in (1, 2, 1, 3, 1, 2):
        reader.read(note, number)
    assert calls == [1, 2, 3, 2]


def test_what_nobody_is_given_any_more_goes() -> None:
    class Large:
        pass

    reader = Reader(fresh_s=0.01)
    large, kept = weakref.ref(reader.read(Large)), weakref.ref(reader.keep(60, Large, *()))
    assert large() is kept() is not None
    time.sleep(0.02)
    reader.read(time.perf_counter)
    gc.collect()
    assert large() is None


def test_what_is_kept_for_long_is_kept() -> None:
    reader = Reader(fresh_s=0.0)
    first = reader.keep(60, time.perf_counter)
    assert reader.keep(60, time.perf_counter) == first
