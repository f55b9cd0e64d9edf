"""Which message an acknowledgement is for, by its PSN."""

import numpy as np

from fabricscope.analyzers.collectives import layout
from fabricscope.analyzers.collectives.answers import answered_rows

QP = np.dtype([("paired", "i4")])


def pair() -> tuple[np.ndarray, np.ndarray]:
    """Return two channels, a queue pair's two directions, and the table that pairs them."""
    channels = np.zeros(2, layout.CHANNEL_DTYPE)
    channels["qp"] = (0, 1)
    queue_pairs = np.zeros(2, QP)
    queue_pairs["paired"] = (1, 0)
    return channels, queue_pairs


def transfers(*rows: tuple[int, int, int, int]) -> np.ndarray:
    """Return transfers of (start, channel, kind, PSN)."""
    table = np.zeros(len(rows), layout.TRANSFER_DTYPE)
    for row, (start, channel, kind, psn) in zip(table, rows, strict=True):
        row["start_ns"] = row["end_ns"] = start
        row["channel"], row["kind"], row["psn"] = channel, kind, psn & 0xFFFFFF
    return table


def test_an_ack_is_for_the_message_that_holds_its_psn() -> None:
    table = transfers(
        (10, 0, layout.KIND_DATA, -3),
        (20, 0, layout.KIND_IMMEDIATE, 1),
        (25, 1, layout.KIND_ACK, -3),
        (30, 0, layout.KIND_IMMEDIATE, 9),
        (40, 1, layout.KIND_ACK, 1),
        (50, 1, layout.KIND_ACK, 5),
    )
    found, ahead = answered_rows(table, *pair())
    assert found.tolist() == [-1, -1, 0, -1, 1, 3]
    assert ahead == 0


def test_an_ack_ahead_of_all_that_was_seen_tells_of_a_missed_message() -> None:
    table = transfers(
        (10, 0, layout.KIND_IMMEDIATE, 4), (20, 1, layout.KIND_ACK, 4), (90, 1, layout.KIND_ACK, 8)
    )
    found, ahead = answered_rows(table, *pair())
    assert found.tolist() == [-1, 0, -1]
    assert ahead == 1


def test_acks_of_unknown_queue_pairs_are_for_nothing() -> None:
    channels, queue_pairs = pair()
    queue_pairs["paired"] = -1
    table = transfers((10, 0, layout.KIND_IMMEDIATE, 4), (20, 1, layout.KIND_ACK, 4))
    assert answered_rows(table, channels, queue_pairs)[0].tolist() == [-1, -1]
    channels, queue_pairs = pair()
    only_acks = transfers((20, 1, layout.KIND_ACK, 4))
    assert answered_rows(only_acks, channels, queue_pairs) == (np.array([-1]), 0)
