"""How often a job should write a checkpoint: Young's and Daly's formulas."""

import math

__all__ = ["best_interval_daly", "best_interval_young", "expected_slowdown"]


def best_interval_young(checkpoint_s: float, between_failures_s: float) -> float:
    """Return the seconds of work between checkpoints: sqrt(2 d M).

    Source: Young, A first order approximation to the optimum checkpoint interval, 1974.
    """
    return math.sqrt(2 * checkpoint_s * between_failures_s)


def best_interval_daly(checkpoint_s: float, between_failures_s: float) -> float:
    """Return the seconds of work between checkpoints, to a higher order.

    Source: Daly, A higher order estimate of the optimum checkpoint interval, 2006.
    """
    if checkpoint_s >= 2 * between_failures_s:
        return between_failures_s
    ratio = checkpoint_s / (2 * between_failures_s)
    young = best_interval_young(checkpoint_s, between_failures_s)
    return young * (1 + math.sqrt(ratio) / 3 + ratio / 9) - checkpoint_s


def expected_slowdown(
    interval_s: float, checkpoint_s: float, restart_s: float, between_failures_s: float
) -> float:
    """Return time over useful time of a job with failures at random (Daly's full model)."""
    segment = (interval_s + checkpoint_s) / between_failures_s
    return (
        between_failures_s
        * math.exp(restart_s / between_failures_s)
        * math.expm1(segment)
        / interval_s
    )
