"""The study of `availability` in words and a table. Knows no figures and no page."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from fabricscope.dashboard.columns import Column, Row, field, number, text
from fabricscope.dashboard.quantities import (
    format_count,
    format_duration,
    format_microseconds,
    format_number,
    format_share,
)
from fabricscope.dashboard.summary import Total

__all__ = ["COLUMNS", "describe_saving", "list_study_totals"]


def _mean(key: str) -> Callable[[Row], float]:
    return lambda row: float(row[key]["mean"])


def _convergence(kind: str) -> Callable[[Row], float | None]:
    return lambda row: row["convergence_us"][kind]


def _half_interval(row: Row) -> float:
    return float(row["lost_gpu_hours"]["mean"] - row["lost_gpu_hours"]["ci95"][0])


COLUMNS: Final = (
    Column("GPUs", "Size of the cluster", field("gpus"), rank=0),
    Column("Scheme", "Recovery scheme", text("recovery"), False, rank=0),
    Column("Interruptions", "Of the job in a month, mean",
           number(_mean("interruptions"), format_number)),
    Column("by network", "Of those, by links and switches",
           number(_mean("network_interruptions"), format_number)),
    Column("Lost GPU hours", "In a month, mean: rework, restarts, stalls, checkpoints",
           number(_mean("lost_gpu_hours"), format_count)),
    Column("± GPU hours", "Half of the 95 % interval of that mean",
           number(_half_interval, format_count)),
    Column("Stall GPU hours", "Of those, in which the job waited for the network",
           number(lambda row: row["lost_by_kind"]["stall"], format_count)),
    Column("Goodput", "GPU hours that moved the training on, of all",
           number(_mean("goodput"), format_share)),
    Column("Checkpoint every", "Best interval by Daly's formula",
           number(lambda row: row["checkpoint_interval_s"]["daly"], format_duration)),
    Column("Link converges", "From a link's failure until traffic flows again",
           number(_convergence("link"), format_microseconds)),
    Column("Silent link", "The same where no port shows the failure",
           number(_convergence("silent_link"), format_microseconds)),
)  # fmt: skip


def describe_saving(results: Sequence[Row]) -> str:
    """Return what DPFR saves over the next best on the largest cluster, empty where one lacks."""
    largest = max(result["gpus"] for result in results)
    lost = {
        result["recovery"]: result["lost_gpu_hours"]["mean"]
        for result in results
        if result["gpus"] == largest
    }
    others = {name: hours for name, hours in lost.items() if not name.startswith("dpfr")}
    if "dpfr" not in lost or not others:
        return ""
    best = min(others, key=lambda name: others[name])
    saved = max(others[best] - lost["dpfr"], 0.0)
    return (
        f"On {largest:,} GPUs DPFR saves {format_count(saved)} GPU hours a month over {best}, "
        f"{format_share(saved / others[best])} of what is lost."
    )


def list_study_totals(study: Mapping[str, Any]) -> list[Total]:
    """Return the cluster and what was drawn, in figures."""
    cluster, rates = study["cluster"], study["rates"]
    sizes = sorted({result["gpus"] for result in study["results"]})
    span = format_count(sizes[0]) if len(sizes) == 1 else f"{sizes[0]:,} .. {sizes[-1]:,}"
    return [
        Total("GPUs", span, f"{cluster['gpus_per_server']} a server"),
        Total("Months drawn", format_count(study["months"]), f"seed {study['seed']}"),
        Total("Servers", "two leaves each" if cluster["dual_homed"] else "one leaf a port"),
        Total("NIC time-out", format_duration(cluster["nic_timeout"] / 1e9),
              f"{cluster['nic_retries']} retries"),
        Total("Restart", format_duration(cluster["restart"] / 1e9),
              f"checkpoint {format_duration(cluster['checkpoint'] / 1e9)}"),
        Total("Link flaps", format_number(rates["flaps"]), "a link and month"),
    ]  # fmt: skip
