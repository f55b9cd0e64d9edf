"""The study that `fabricscope availability` shows: sizes times schemes, as a JSON document."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.errors import FabricError
from fabricscope.topology.availability.months import CAUSES, Months, draw_months
from fabricscope.topology.availability.outages import OutageDraws, draw_outages
from fabricscope.topology.availability.rates import (
    HOURS_A_MONTH,
    Cluster,
    Parts,
    Rates,
    count_parts,
)
from fabricscope.topology.recovery.parameters import build_parameters

__all__ = ["MAX_GPUS", "build_settings", "run_study"]

SCHEMA: Final = "fabricscope/1"
MAX_GPUS: Final = 1_000_000
MAX_MONTHS: Final = 100_000
MAX_GPU_MONTHS: Final = 2_000_000_000
_NETWORK: Final = ("access_link", "fabric_link", "leaf", "upper_switch", "access_flap",
                   "fabric_flap")  # fmt: skip


def build_settings(given: Mapping[str, object]) -> tuple[Cluster, Rates]:
    """Return cluster and rates with what the user gave by name. Raises FabricError."""
    own = {key: value for key, value in given.items() if key in Cluster.model_fields}
    rest = {key: value for key, value in given.items() if key not in own}
    unknown = sorted(rest.keys() - Rates.model_fields.keys())
    if unknown:
        known = ", ".join((*Rates.model_fields, *Cluster.model_fields))
        raise FabricError(f"availability has no parameter {unknown[0]!r}; it has {known}")
    return (
        build_parameters("availability", Cluster, {}, own),
        build_parameters("availability", Rates, {}, rest),
    )


def run_study(
    sizes: Sequence[int],
    schemes: Sequence[str],
    months: int,
    seed: int,
    cluster: Cluster,
    rates: Rates,
    profile: str = "asic",
    interval_s: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Return interruptions, lost GPU hours and checkpoint intervals for all sizes and schemes.

    Raises FabricError for a size, number of months or scheme that is impossible.
    """
    for gpus in sizes:
        if not 2 <= gpus <= MAX_GPUS:
            raise FabricError(f"{gpus:,} GPUs are no cluster; give 2 to {MAX_GPUS:,}")
    if not 2 <= months <= MAX_MONTHS or max(sizes) * months > MAX_GPU_MONTHS:
        raise FabricError(
            f"{months:,} months of {max(sizes):,} GPUs are too few or too many; take 2 to "
            f"{min(MAX_MONTHS, MAX_GPU_MONTHS // max(sizes)):,}"
        )
    draws: dict[str, OutageDraws] = {}
    for number, scheme in enumerate(schemes):
        draws[scheme] = draw_outages(scheme, profile, np.random.default_rng(seed))
        if progress:
            progress(number + 1, len(schemes) * (1 + len(sizes)))
    results = []
    for gpus in sizes:
        parts = count_parts(gpus, cluster)
        for scheme in schemes:
            rng = np.random.default_rng([seed, gpus])  # the same failures for all schemes
            drawn = draw_months(gpus, months, cluster, rates, draws[scheme], rng, interval_s)
            results.append(_describe(parts, scheme, drawn, draws[scheme]))
            if progress:
                progress(len(schemes) + len(results), len(schemes) * (1 + len(sizes)))
    return {
        "schema": SCHEMA,
        "availability": {
            "months": months,
            "seed": seed,
            "profile": profile,
            "cluster": cluster.model_dump(),
            "rates": rates.model_dump(),
            "results": results,
        },
    }


def _describe(parts: Parts, scheme: str, drawn: Months, outages: OutageDraws) -> dict[str, Any]:
    total = parts.gpus * HOURS_A_MONTH
    network = [CAUSES.index(cause) for cause in _NETWORK]
    return {
        "gpus": parts.gpus,
        "recovery": scheme,
        "parts": parts._asdict(),
        "interruptions": _summarise(drawn.interruptions.sum(axis=0)),
        "network_interruptions": _summarise(drawn.interruptions[network].sum(axis=0)),
        "failures_by_cause": dict(zip(CAUSES, drawn.failures.mean(axis=1).tolist(), strict=True)),
        "interruptions_by_cause": dict(
            zip(CAUSES, drawn.interruptions.mean(axis=1).tolist(), strict=True)
        ),
        "lost_gpu_hours": _summarise(drawn.lost),
        "lost_by_kind": {
            kind: float(getattr(drawn, kind).mean())
            for kind in ("rework", "restart", "stall", "checkpoint")
        },
        "goodput": _summarise(np.maximum(1 - drawn.lost / total, 0)),
        "checkpoint_interval_s": {
            "young": drawn.young_s,
            "daly": drawn.daly_s,
            "used": drawn.interval_s,
        },
        "convergence_us": {
            "link": _median_us(outages.link),
            "silent_link": _median_us(outages.silent_link),
        },
    }


def _median_us(times_ns: NDArray[np.float64]) -> float | None:
    median = float(np.median(times_ns)) / 1e3
    return median if np.isfinite(median) else None


def _summarise(values: NDArray[Any]) -> dict[str, Any]:
    """Return mean with the 95 % interval of the mean, and the range of nine months in ten."""
    mean = float(values.mean())
    margin = 1.96 * float(values.std(ddof=1)) / float(np.sqrt(len(values)))
    low, high = np.percentile(values, [5, 95]).tolist()
    return {"mean": mean, "ci95": [mean - margin, mean + margin], "p5": low, "p95": high}
