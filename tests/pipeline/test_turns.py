import random
import threading
import time

import pytest

from fabricscope.pipeline.turns import Turns

PATIENCE_S = 60


def _run(bodies: list[threading.Thread]) -> None:
    for thread in bodies:
        thread.start()
    for thread in bodies:
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "deadlock"


@pytest.mark.parametrize("threads", [1, 2, 4, 16])
def test_batches_pass_every_stage_singly_and_in_order(threads: int) -> None:
    stages = [Turns(), Turns(), Turns()]
    passed: list[list[int]] = [[], [], []]
    inside = [0, 0, 0]
    numbers = iter(range(200))
    lock = threading.Lock()

    def carry() -> None:
        chance = random.Random(threading.get_ident())
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            for place, stage in enumerate(stages):
                with stage.turn(number) as going:
                    assert going
                    inside[place] += 1
                    assert inside[place] == 1
                    if chance.random() < 0.1:
                        time.sleep(0.0005)
                    passed[place].append(number)
                    inside[place] -= 1

    _run([threading.Thread(target=carry) for _ in range(threads)])
    assert passed == [list(range(200))] * 3


def test_breaking_off_wakes_all_who_wait() -> None:
    stage = Turns()
    outcomes: list[bool] = []

    def wait(number: int) -> None:
        with stage.turn(number) as going:
            outcomes.append(going)

    waiting = [threading.Thread(target=wait, args=(number,)) for number in (1, 2, 3)]
    for thread in waiting:
        thread.start()
    time.sleep(0.05)
    assert outcomes == []
    stage.break_off()
    for thread in waiting:
        thread.join(PATIENCE_S)
    assert outcomes == [False] * 3


def test_nobody_enters_after_breaking_off() -> None:
    stage = Turns()
    stage.break_off()
    with stage.turn(0) as going:
        assert not going


def test_a_failure_inside_a_turn_lets_the_next_one_in() -> None:
    stage = Turns()
    with pytest.raises(ValueError, match="inside"), stage.turn(0):
        raise ValueError("inside")
    with stage.turn(1) as going:
        assert going
