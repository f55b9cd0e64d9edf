"""What the books say: judged, re-segmented, or seen too little of."""

import numpy as np
import pytest

from fabricscope.analyzers.taps.layout import MAX_TAPS, TOTALS, State, allocate_state
from fabricscope.analyzers.taps.losses import Witness, judge


def books(seen: tuple[int, int], lost: int, resent: int = 0, absent: int = 0) -> State:
    state = allocate_state(16)
    state.totals[TOTALS.flows] = 1
    state.seen[0, :2] = seen
    state.lost[0, 1] = lost
    state.lost_resent[0, 1] = resent
    state.absent[0, 1] = absent
    state.examples[0, 1] = np.arange(4) * MAX_TAPS
    state.example_counts[0, 1] = min(lost, 4)
    return state


def test_lost_are_split_by_retransmission() -> None:
    losses = judge(books((100, 90), lost=10, resent=3, absent=2))[1]
    assert (losses.resent, losses.not_resent, losses.absent, losses.unjudged) == (3, 7, 2, 0)
    assert losses.examples == [Witness(0, frame) for frame in range(4)]


def test_a_tap_that_sees_half_is_on_one_of_two_paths() -> None:
    losses = judge(books((100, 50), lost=50))[1]
    assert (losses.resent, losses.not_resent, losses.unjudged) == (0, 0, 50)
    assert losses.examples == []


@pytest.mark.parametrize(("payloads", "judged"), [((1448, 1448), True), ((2896, 1448), False)])
def test_cards_that_join_segments_hide_losses(payloads: tuple[int, int], judged: bool) -> None:
    state = books((100, 90), lost=10)
    state.largest[0, :2] = payloads
    losses = judge(state)[1]
    assert losses.not_resent == (10 if judged else 0)
    assert losses.unjudged == (0 if judged else 10)


def test_segments_no_wire_carries() -> None:
    state = books((100, 90), lost=10)
    state.largest[0, :2] = 60_000
    assert judge(state)[1].unjudged == 10


def test_empty_books() -> None:
    assert all(losses.not_resent == 0 for losses in judge(allocate_state(16)))
