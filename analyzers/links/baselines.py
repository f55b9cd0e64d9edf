"""What is usual for each subject, robustly, and whether it has begun to drift.

The usual value is the median of a window, its spread 1.4826 times the median absolute deviation
(the standard deviation, if the values are normal). A drift is found by a two-sided CUSUM (Page,
1954) of the deviations from a reference taken when the subject was new: it sees a slow decay that
a sliding window would follow without a word.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

WINDOW: Final = 300
"""Samples in the sliding window: five minutes at one a second."""

REFERENCE: Final = 240
"""Samples that make the reference of the drift test: fewer leave its own error in each sum."""

ALLOWANCE: Final = 0.75
"""CUSUM's k: half of the smallest drift that counts, in standard deviations."""

LIMIT: Final = 12.0
"""CUSUM's h: the sum of deviations beyond k at which a drift is certain enough."""

NORMAL_MAD: Final = 1.4826


class Judgement(NamedTuple):
    """One per subject given: the usual value, its spread, the deviation in spreads, the drift.

    drift: -1, 0 or 1: whether the values have fallen or risen against the reference for good.
    """

    usual: NDArray[np.float64]
    spread: NDArray[np.float64]
    deviation: NDArray[np.float64]
    drift: NDArray[np.int8]


class Baselines:
    """One metric of up to `capacity` subjects, by their numbers."""

    def __init__(self, capacity: int, *, least_spread: float, relative_spread: float = 0.02):
        """Prepare empty windows.

        least_spread, relative_spread: the spread is at least this, and at least this share of the
        usual value, so that a metric that never moves does not alarm at its first flicker.
        """
        self._values = np.full((capacity, WINDOW), np.nan)
        self._seen = np.zeros(capacity, np.int64)
        self._reference = np.full((capacity, 2), np.nan)
        self._sums = np.zeros((capacity, 2))
        self._least = least_spread
        self._relative = relative_spread

    def judge(self, subjects: NDArray[np.int64], values: NDArray[np.float64]) -> Judgement:
        """Compare each subject's new value with what was usual before, then take it in.

        subjects: distinct numbers; values: one each, NaN for none. A subject with fewer than 10
        values before has no usual value yet: NaN, deviation 0.
        """
        window = self._values[subjects]
        known = np.minimum(self._seen[subjects], WINDOW)
        usual = np.full(subjects.size, np.nan)
        spread = np.full(subjects.size, np.nan)
        enough = (known >= 10) & ~np.isnan(values)
        if enough.any():
            usual[enough] = _medians(window[enough])
            distance = np.abs(window[enough] - usual[enough, None])
            spread[enough] = NORMAL_MAD * _medians(distance)
            spread[enough] = self._floor(usual[enough], spread[enough])
        deviation = np.where(enough, (values - usual) / spread, 0.0)
        self._take_in(subjects, values)
        return Judgement(usual, spread, deviation, self._drift(subjects, values))

    def forget(self, subjects: NDArray[np.int64]) -> None:
        """Begin anew with subjects whose numbers others get."""
        self._values[subjects] = np.nan
        self._seen[subjects] = 0
        self._reference[subjects] = np.nan
        self._sums[subjects] = 0

    def _floor(
        self, usual: NDArray[np.float64], spread: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        return np.maximum(spread, np.maximum(self._least, self._relative * np.abs(usual)))

    def _take_in(self, subjects: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        given = ~np.isnan(values)
        rows = subjects[given]
        self._values[rows, self._seen[rows] % WINDOW] = values[given]
        self._seen[rows] += 1
        ripe = rows[self._seen[rows] == REFERENCE]
        if ripe.size:
            first = self._values[ripe, :REFERENCE]
            middle = np.median(first, axis=1)
            spread = NORMAL_MAD * np.median(np.abs(first - middle[:, None]), axis=1)
            self._reference[ripe, 0] = middle
            self._reference[ripe, 1] = self._floor(middle, spread)

    def _drift(self, subjects: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.int8]:
        middle, spread = self._reference[subjects].T
        # A single outlier must not fill the sum by itself.
        steps = np.nan_to_num(np.clip((values - middle) / spread, -3.0, 3.0))
        ready = ~np.isnan(middle) & ~np.isnan(values)
        sums = self._sums[subjects]
        sums[:, 0] = np.where(ready, np.maximum(sums[:, 0] + steps - ALLOWANCE, 0.0), sums[:, 0])
        sums[:, 1] = np.where(ready, np.maximum(sums[:, 1] - steps - ALLOWANCE, 0.0), sums[:, 1])
        # Bounded, so that a subject that recovers is called recovered soon.
        self._sums[subjects] = np.minimum(sums, 2 * LIMIT)
        risen = sums[:, 0] > LIMIT
        fallen = sums[:, 1] > LIMIT
        return (risen.astype(np.int8) - fallen.astype(np.int8)).astype(np.int8)


def _medians(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each row's median; NaN stands for no value. Full rows, the usual case, are fast."""
    full = ~np.isnan(rows[:, -1])
    result = np.empty(len(rows))
    if full.any():
        result[full] = np.median(rows[full], axis=1)
    if not full.all():
        result[~full] = np.nanmedian(rows[~full], axis=1)
    return result
