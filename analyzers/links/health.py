"""The health of a link in a second: a score from 0 to 100, and what it lost points for.

Points are taken off for each trouble; the table is `PENALTIES`. A score is a way to sort links,
not a measurement: the numbers beside it are.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["PENALTIES", "Penalty", "Reason", "score_links"]


class Penalty(NamedTuple):
    """Points for one trouble.

    metric: a key of the metrics given to `score_links`. From `begin` on it costs `least` points, at
    `full` it costs `most`; between them in proportion, of the logarithm if `decades`.
    """

    metric: str
    begin: float
    full: float
    least: float
    most: float
    decades: bool
    text: str
    action: str


PENALTIES: Final = (
    Penalty(
        "down_share",
        1e-6,
        1.0,
        60,
        100,
        False,
        "was down {value:.0%} of the time",
        "Check the transceiver, the cable and the other end's log.",
    ),
    Penalty(
        "flaps",
        1,
        3,
        60,
        90,
        False,
        "went down {value:.0f} times",
        "Check the transceiver, the cable and the other end's log.",
    ),
    Penalty(
        "loss_ratio",
        1e-7,
        1e-3,
        20,
        70,
        True,
        "lost {value:.2g} of its RDMA packets",
        "Look for errors and discards on the path's ports; check that the queue is lossless.",
    ),
    Penalty(
        "error_ratio",
        1e-9,
        1e-4,
        15,
        70,
        True,
        "damaged {value:.2g} of its packets",
        "Clean or replace the transceiver or cable; compare FEC counters of both ends.",
    ),
    Penalty(
        "discard_ratio",
        1e-7,
        1e-3,
        15,
        60,
        True,
        "discarded {value:.2g} of its packets",
        "Check buffer and PFC settings of the port's queue.",
    ),
    Penalty(
        "pause_share",
        0.01,
        0.5,
        5,
        40,
        False,
        "was paused {value:.0%} of the time",
        "Find the receiver that sends the pause frames: it is slower than its link.",
    ),
    Penalty(
        "ecn_ratio",
        0.01,
        0.5,
        5,
        30,
        False,
        "marked {value:.0%} of its packets CE",
        "Look for incast or unequal spines; check the ECN thresholds.",
    ),
    Penalty(
        "utilization",
        0.95,
        1.0,
        5,
        10,
        False,
        "is {value:.0%} full",
        "Expected in a collective; beside marks or pauses it is the bottleneck.",
    ),
    Penalty(
        "held_back",
        1.25,
        10.0,
        30,
        60,
        True,
        "carried a collective {value:.1f} times slower than its peers",
        "Compare the link's rate, errors and shaping with its peers'; its job waits for it.",
    ),
    Penalty(
        "latency_deviation",
        6.0,
        60.0,
        10,
        25,
        True,
        "answers {value:.0f} spreads slower than usual",
        "Compare with the links that share its path; look for a queue that builds up.",
    ),
    Penalty(
        "latency_drift",
        1.0,
        1.0,
        15,
        15,
        False,
        "answers slower and slower against its first minute",
        "A slow decay: look at optical power, FEC corrections and the host's PCIe link.",
    ),
    Penalty(
        "imbalance",
        1.5,
        4.0,
        5,
        20,
        False,
        "carries {value:.1f} times the mean of its parallel links",
        "Check the hash seeds, or spread queue pairs over more paths.",
    ),
)


class Reason(NamedTuple):
    """One reason for lost points, for one link (by its row)."""

    row: int
    metric: str
    value: float
    points: float
    text: str
    action: str


def score_links(
    metrics: Mapping[str, NDArray[np.float64]],
) -> tuple[NDArray[np.float64], list[Reason]]:
    """Return each link's score and the reasons, most points first within a link.

    metrics: arrays of one length by the names of `PENALTIES`; those that are missing or NaN cost
    nothing.
    """
    length = max((values.size for values in metrics.values()), default=0)
    score = np.full(length, 100.0)
    reasons: list[Reason] = []
    for penalty in PENALTIES:
        values = metrics.get(penalty.metric)
        if values is None:
            continue
        points = _points(penalty, values)
        score -= points
        for row in np.flatnonzero(points > 0).tolist():
            value = float(values[row])
            text = penalty.text.format(value=value).replace(" 1 times", " once")
            reasons.append(
                Reason(row, penalty.metric, value, float(points[row]), text, penalty.action)
            )
    reasons.sort(key=lambda reason: (reason.row, -reason.points))
    return np.maximum(score, 0.0), reasons


def _points(penalty: Penalty, values: NDArray[np.float64]) -> NDArray[np.float64]:
    hit = np.nan_to_num(values, nan=-np.inf) >= penalty.begin
    points = np.zeros(values.size)
    if not hit.any():
        return points
    if penalty.full == penalty.begin:
        share = np.ones(int(hit.sum()))
    elif penalty.decades:
        share = np.log(values[hit] / penalty.begin) / np.log(penalty.full / penalty.begin)
    else:
        share = (values[hit] - penalty.begin) / (penalty.full - penalty.begin)
    points[hit] = penalty.least + (penalty.most - penalty.least) * np.clip(share, 0.0, 1.0)
    return points
