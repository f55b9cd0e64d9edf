"""Features of single flows, out of their counts, bursts and time series; arrays only.

What flows are to one another is in `relations`; what it all means is in `judging`.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.behaviour.layout import (
    BURST_GAPS_NS,
    FEATURE_DTYPE,
    SERIES_BINS,
    ActivityState,
)
from fabricscope.analyzers.flows import ClosedFlows

MIN_BURSTS: Final = 4  # fewer bursts show no rhythm
MIN_ACTIVE_BINS: Final = 8
_CHUNK_ROWS: Final = 4_096
_IRREGULAR: Final = 9.0  # stands for "no rhythm at all" while levels are compared

Floats = NDArray[np.float64]


def describe(state: ActivityState, closed: ClosedFlows) -> NDArray[np.void]:
    """Return FEATURE_DTYPE rows for the flows of `closed`; NaN where a feature has no meaning."""
    features = np.zeros(len(closed.slots), FEATURE_DTYPE)
    activity = state.flows[closed.slots].view(np.ndarray)
    _counts(features, closed, activity)
    _turns(features, activity)
    _bursts(features, activity)
    for start in range(0, len(features), _CHUNK_ROWS):
        part = slice(start, start + _CHUNK_ROWS)
        _series(features[part], activity[part], state.series)
    return features


def _counts(features: NDArray[np.void], closed: ClosedFlows, activity: NDArray[np.void]) -> None:
    flows, directions = closed.flows, closed.directions
    for name in ("id", "a_hi", "a_lo", "b_hi", "b_lo"):
        features[name] = flows[name]
    features["start_ns"] = flows["first_ns"]
    features["end_ns"] = flows["last_ns"]
    any_data = activity["packets"] > 0
    features["data_start_ns"] = np.where(any_data, activity["first_ns"], flows["first_ns"])
    features["data_end_ns"] = np.where(any_data, activity["last_ns"], flows["first_ns"])
    for side, name in enumerate("ab"):
        features[f"{name}_packets"] = directions["packets"][:, side]
        features[f"{name}_payload_bytes"] = directions["payload_bytes"][:, side]
    features["wire_bytes"] = directions["bytes"].sum(axis=1)
    features["data_packets"] = activity["packets"]
    packets = directions["packets"].sum(axis=1)
    features["ce_share"] = directions["ecn_marked"].sum(axis=1) / np.maximum(packets, 1)
    features["repeat_share"] = activity["repeated"] / np.maximum(activity["packets"], 1)

    larger = np.argmax(directions["payload_bytes"], axis=1)[:, None]
    main = np.take_along_axis(directions, larger, axis=1)[:, 0]
    features["data_bytes_mean"] = main["payload_bytes"] / np.maximum(main["payload_packets"], 1)
    gaps = np.maximum(main["packets"] - 1, 1)
    mean = (main["last_ns"] - main["first_ns"]) / gaps
    features["gap_cv"] = np.where(
        main["packets"] > 2, _variation(mean, main["gap_square_sum"] / gaps), np.nan
    )


def _variation(mean: Floats, square_mean: Floats) -> Floats:
    """Return the coefficient of variation: standard deviation over mean, 0 for a mean of 0."""
    deviation = np.sqrt(np.maximum(square_mean - mean * mean, 0))
    return np.divide(deviation, mean, out=np.zeros_like(deviation), where=mean > 0)


def _turns(features: NDArray[np.void], activity: NDArray[np.void]) -> None:
    answers = activity["answers"].astype(np.float64)
    features["turns"] = answers.sum(axis=1)
    mean_s = activity["answer_ns"] / np.where(answers > 0, answers, np.nan) / 1e9
    features["think_s"] = mean_s[:, 0]
    features["answer_s"] = mean_s[:, 1]


def _bursts(features: NDArray[np.void], activity: NDArray[np.void]) -> None:
    """Read the bursts at the level where size and rhythm repeat best; the burst under way counts.

    A level with fewer than `MIN_BURSTS` says nothing about rhythm; without any that has more, the
    level of the longest silence that still separates bursts is taken.
    """
    ended = activity["bursts"].astype(np.float64)
    total = activity["payload_bytes"][:, None].astype(np.float64)
    count = np.where(total > 0, ended + 1, 0)
    some = np.maximum(count, 1)
    last = total - activity["burst_before"]
    bytes_mean = total / some
    bytes_cv = _variation(bytes_mean, (activity["burst_square_sum"] + last * last) / some)
    span = (activity["burst_start_ns"] - activity["first_ns"][:, None]) * (count > 0)
    intervals = np.maximum(ended, 1)
    interval_mean = span / intervals
    interval_cv = _variation(interval_mean, activity["interval_square_sum"] / intervals)
    length = np.maximum(activity["last_ns"] - activity["first_ns"], 1).astype(np.float64)
    active = activity["burst_active_ns"] + activity["last_ns"][:, None]
    duty = (active - activity["burst_start_ns"]) / length[:, None] * (count > 0)

    rhythm = np.where(count >= MIN_BURSTS, bytes_cv + interval_cv, _IRREGULAR)
    longest = np.arange(len(BURST_GAPS_NS)) * (count > 1)
    clearest = np.where(
        (rhythm < _IRREGULAR).any(axis=1), np.argmin(rhythm, axis=1), np.argmax(longest, axis=1)
    )[:, None]

    def pick(values: Floats) -> Floats:
        return np.take_along_axis(values, clearest, axis=1)[:, 0]

    bursts = pick(count)
    features["bursts"] = bursts
    features["burst_bytes"] = pick(bytes_mean)
    features["burst_bytes_cv"] = np.where(bursts > 1, pick(bytes_cv), np.nan)
    features["burst_interval_s"] = np.where(bursts > 1, pick(interval_mean) / 1e9, np.nan)
    features["burst_interval_cv"] = np.where(bursts > 2, pick(interval_cv), np.nan)
    features["burst_duty"] = pick(duty)


def _series(
    features: NDArray[np.void], activity: NDArray[np.void], series: NDArray[np.int64]
) -> None:
    """Read evenness and period from the time series; the bins past a flow's end do not count."""
    for name in ("bin_active", "bin_cv", "period_strength", "period_s"):
        features[name] = np.nan
    have = np.flatnonzero(activity["series"] > 0)
    if not have.size:
        return
    part = activity[have]
    bins = series[part["series"].astype(np.int64) - 1].astype(np.float64)
    shift = part["series_shift"].astype(np.int64)
    used = (part["last_ns"] >> shift) - part["series_base"] + 1
    inside = np.arange(SERIES_BINS) < used[:, None]
    active = ((bins > 0) & inside).sum(axis=1)
    length = np.maximum(used, 1)
    mean = bins.sum(axis=1) / length
    features["bin_active"][have] = active / length
    features["bin_cv"][have] = _variation(mean, (bins * bins).sum(axis=1) / length)

    centred = np.where(inside, bins - mean[:, None], 0)
    spectrum = np.fft.rfft(centred, 2 * SERIES_BINS, axis=1)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, : SERIES_BINS // 2]
    energy = np.maximum(correlation[:, :1], 1.0)
    # A lag has fewer pairs of bins than lag 0 and needs three repetitions to count as a period.
    lags = np.arange(SERIES_BINS // 2)
    scale = length[:, None] / np.maximum(length[:, None] - lags, 1)
    strength = np.where(3 * lags <= length[:, None], correlation / energy * scale, 0)
    # The fall from lag 0 is no period: a peak must rise above its neighbours on both sides.
    peak = np.zeros_like(strength)
    middle = strength[:, 1:-1]
    rises = (middle >= strength[:, :-2]) & (middle > strength[:, 2:])
    peak[:, 1:-1] = np.where(rises, middle, 0)
    peak[:, :2] = 0
    best = np.argmax(peak, axis=1)
    enough = active >= MIN_ACTIVE_BINS
    height = np.take_along_axis(peak, best[:, None], axis=1)[:, 0]
    features["period_strength"][have] = np.where(enough, np.clip(height, 0, 1), 0)
    features["period_s"][have] = np.where(enough & (height > 0), best * 2.0**shift / 1e9, np.nan)
