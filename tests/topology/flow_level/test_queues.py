"""The heaps of what happens next, against sorting."""

import numpy as np
import pytest

from fabricscope.topology.flow_level.queues.kernels import (
    drop_event,
    event_code,
    forget_finish,
    next_event,
    push_event,
    set_finish,
)
from fabricscope.topology.flow_level.state import Queue


@pytest.mark.parametrize("seed", range(10))
def test_events_come_in_order_of_time(seed):
    rng = np.random.default_rng(seed)
    queue = Queue.empty(4000, 8, 4)
    waiting: list[tuple[float, int]] = []
    for code in range(3000):
        time_ns = float(rng.integers(0, 50)) + (code / 10 if seed % 2 else 0)
        push_event(queue, time_ns, code)
        waiting.append((time_ns, code))
        while waiting and rng.random() < 0.48:
            lane, first_ns = next_event(queue)
            found = (first_ns, int(event_code(queue, lane)))
            assert first_ns == min(waiting)[0]
            waiting.remove(found)
            drop_event(queue, lane)
    while waiting:
        lane, first_ns = next_event(queue)
        assert first_ns == min(waiting)[0]
        waiting.remove((first_ns, int(event_code(queue, lane))))
        drop_event(queue, lane)
    assert next_event(queue)[1] == np.inf


@pytest.mark.parametrize("seed", range(10))
def test_the_flow_that_ends_first_is_on_top(seed):
    rng = np.random.default_rng(seed)
    queue = Queue.empty(16, 50, 4)
    ends: dict[int, float] = {}
    for _ in range(2000):
        flow = int(rng.integers(50))
        if rng.random() < 0.3:
            forget_finish(queue, flow)
            ends.pop(flow, None)
        else:
            ends[flow] = float(rng.integers(0, 30)) if rng.random() < 0.9 else np.inf
            set_finish(queue, flow, ends[flow])
        assert queue.sizes[0] == len(ends)
        if ends:
            assert queue.finish_ns[queue.heap[0]] == min(ends.values())


def test_a_grown_queue_keeps_what_it_holds():
    queue = Queue.empty(2, 2, 2)
    before = len(queue.event_ns)
    queue = queue.grown()
    assert len(queue.event_ns) == 2 * before
