"""Months of a cluster's life, drawn at random: interruptions, stalls and lost GPU hours.

Failures come as Poisson processes, all parts alike and independent of one another; an interruption
costs the work since the last checkpoint and the restart of all GPUs. What is counted here twice is
a failure during a restart, which a job of this size survives as one.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fabricscope.topology.availability.checkpoints import best_interval_daly, best_interval_young
from fabricscope.topology.availability.outages import OutageDraws
from fabricscope.topology.availability.rates import HOURS_A_MONTH, Cluster, Rates, count_parts

__all__ = ["CAUSES", "Months", "draw_months", "interruptions_a_month"]

CAUSES: Final = (
    "gpu", "server", "access_link", "fabric_link", "leaf", "upper_switch", "access_flap",
    "fabric_flap",
)  # fmt: skip
_NS: Final = 1e9
_MOST_KINDS: Final = 100_000
_SECONDS_A_MONTH: Final = HOURS_A_MONTH * 3600
_DAYS_A_MONTH: Final = HOURS_A_MONTH / 24


class Months(NamedTuple):
    """What happened in each month drawn; hours are GPU hours.

    interruptions: (causes, months) by the order of CAUSES; failures: likewise, all that happened.
    rework, restart, stall, checkpoint: (months) GPU hours lost. young_s, daly_s: best checkpoint
    intervals; interval_s: the one that was used.
    """

    failures: NDArray[np.int64]
    interruptions: NDArray[np.int64]
    rework: NDArray[np.float64]
    restart: NDArray[np.float64]
    stall: NDArray[np.float64]
    checkpoint: NDArray[np.float64]
    young_s: float
    daly_s: float
    interval_s: float

    @property
    def lost(self) -> NDArray[np.float64]:
        """Return the GPU hours lost in each month."""
        return self.rework + self.restart + self.stall + self.checkpoint


def _expected_failures(gpus: int, cluster: Cluster, rates: Rates) -> NDArray[np.float64]:
    """Return the failures a month of each cause."""
    parts = count_parts(gpus, cluster)
    optics = rates.optics * 2  # a link has two
    return np.array(
        [
            parts.gpus * rates.gpu,
            parts.servers * rates.server * _DAYS_A_MONTH / 1000,
            parts.access_links * (rates.access_link + optics),
            parts.fabric_links * (rates.fabric_link + optics),
            parts.leaves * rates.leaf,
            parts.upper_switches * rates.upper_switch,
            parts.access_links * rates.flaps,
            parts.fabric_links * rates.flaps,
        ]
    )


def _outcomes(
    cause: str,
    count: int,
    cluster: Cluster,
    rates: Rates,
    outages: OutageDraws,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return for `count` failures how long each stalls the job, ns; inf for an interruption."""
    never = np.full(count, np.inf)
    if cause in ("gpu", "server"):
        return never
    at_access = cause in ("access_link", "leaf", "access_flap")
    flap = cause.endswith("flap")
    lengths = never
    if flap:
        lengths = rates.flap_length.draw_many(rng, count)
    if at_access and not cluster.dual_homed:
        outage_ns = lengths  # there is no other path: only the end of a flap helps
    else:
        shown, hidden = (
            (outages.switch, outages.silent_switch)
            if cause in ("leaf", "upper_switch")
            else (outages.link, outages.silent_link)
        )
        silent = (rng.random(count) < rates.silent) & (not flap)
        drawn = np.where(silent, rng.choice(hidden, count), rng.choice(shown, count))
        outage_ns = np.minimum(drawn, lengths)
    return _stall(outage_ns, cluster, rng)


def _stall(
    outage_ns: NDArray[np.float64], cluster: Cluster, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return how long the job waits for an outage; inf when a queue pair gives up.

    An outage that the window outlives costs about itself, since a gap is answered with a NAK;
    unless it swallows the end of a message that nothing follows. A longer one drains the window.
    In both cases the sender waits for its next time-out.
    """
    timeouts = np.ceil(outage_ns / cluster.nic_timeout)
    tail = rng.random(len(outage_ns)) < outage_ns / cluster.step
    short = (outage_ns <= cluster.window_drain) & ~tail
    stall = np.where(short, outage_ns, timeouts * cluster.nic_timeout)
    return np.where(timeouts > cluster.nic_retries, np.inf, stall)


def _add_up(
    counts: NDArray[np.int64], waits_s: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each month's interruptions and seconds of stall.

    counts: (months) failures; waits_s: as many outcomes, or fewer where there are very many: then
    months are drawn from their distribution, sums as normal ones.
    """
    interrupting = np.isinf(waits_s)
    if len(waits_s) == counts.sum():
        month = np.repeat(np.arange(len(counts)), counts)
        stall = np.bincount(month[~interrupting], waits_s[~interrupting], len(counts))
        stopped = np.bincount(month[interrupting], minlength=len(counts))
        return stopped.astype(np.int64), stall.astype(np.float64)
    stopped = rng.binomial(counts, interrupting.mean())
    finite = waits_s[~interrupting]
    mean, spread = (float(finite.mean()), float(finite.std())) if len(finite) else (0.0, 0.0)
    left = counts - stopped
    return stopped, np.maximum(rng.normal(left * mean, np.sqrt(left) * spread), 0.0)


def interruptions_a_month(
    gpus: int, cluster: Cluster, rates: Rates, outages: OutageDraws, rng: np.random.Generator
) -> float:
    """Return the expected interruptions a month: rates times the share that interrupts."""
    sample = 2_000
    shares = [
        float(np.isinf(_outcomes(cause, sample, cluster, rates, outages, rng)).mean())
        for cause in CAUSES
    ]
    return float(_expected_failures(gpus, cluster, rates) @ np.array(shares))


def draw_months(
    gpus: int,
    months: int,
    cluster: Cluster,
    rates: Rates,
    outages: OutageDraws,
    rng: np.random.Generator,
    interval_s: float | None = None,
) -> Months:
    """Return `months` months of a job over `gpus`.

    interval_s: work between checkpoints; the best one by Daly's formula where left out.
    """
    monthly = interruptions_a_month(gpus, cluster, rates, outages, rng)
    between_s = _SECONDS_A_MONTH / max(monthly, 1e-12)
    checkpoint_s, restart_s = cluster.checkpoint / _NS, cluster.restart / _NS
    young_s = best_interval_young(checkpoint_s, between_s)
    daly_s = best_interval_daly(checkpoint_s, between_s)
    used_s = daly_s if interval_s is None else interval_s
    expected = _expected_failures(gpus, cluster, rates)
    failures = rng.poisson(expected[:, None], (len(CAUSES), months)).astype(np.int64)
    interruptions = np.zeros_like(failures)
    stall_s = np.zeros(months)
    for place, cause in enumerate(CAUSES):
        kinds = min(int(failures[place].sum()), _MOST_KINDS)
        if not kinds:
            continue
        waits = _outcomes(cause, kinds, cluster, rates, outages, rng)
        interruptions[place], waited = _add_up(failures[place], waits / _NS, rng)
        stall_s += waited
    total = interruptions.sum(axis=0)
    since = rng.random(int(total.sum())) * (used_s + checkpoint_s)
    rework_s = np.bincount(np.repeat(np.arange(months), total), since, minlength=months)
    working_s = np.maximum(_SECONDS_A_MONTH - rework_s - total * restart_s - stall_s, 0)
    hours = gpus / 3600
    checkpoint_hours = working_s * checkpoint_s / (used_s + checkpoint_s) * hours
    return Months(
        failures,
        interruptions,
        (rework_s * hours).astype(np.float64),
        total * restart_s * hours,
        stall_s * hours,
        checkpoint_hours.astype(np.float64),
        young_s,
        daly_s,
        used_s,
    )
