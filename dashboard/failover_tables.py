"""The tables of a simulated failover: what each scheme costs, how it converged, and sweeps."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from fabricscope.dashboard.columns import Cell, Column, Row, number, text
from fabricscope.dashboard.failover import (
    STAGES,
    Document,
    central,
    format_interval,
    worst_role,
)
from fabricscope.dashboard.quantities import (
    UNKNOWN,
    format_bytes,
    format_count,
    format_microseconds,
)


def _median(key: str) -> Callable[[Row], float | None]:
    return lambda row: central(row.get(key))


def _interval(key: str) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        shown = format_interval(row.get(key))
        return Cell(shown, central(row.get(key)) or -1.0)

    return cell


def _ratio(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.4g}"


def _stage(stage: str) -> Callable[[Row], Cell]:
    def value(row: Mapping[str, Any]) -> float | None:
        return central((row["breakdown_us"] or {}).get(stage))

    return number(value, format_microseconds)


_SCHEME: Final = Column(
    "Scheme", "Recovery scheme, as named in the scenario", text("recovery"), False, rank=0
)
_CONVERGED: Final = Column(
    "Convergence", "Until the last affected flow has a working path, median",
    number(_median("convergence_us"), format_microseconds), rank=0,
)  # fmt: skip
_PACKETS_LOST: Final = Column(
    "Packets lost", "Data packets that never arrived",
    number(_median("packets_lost"), format_count), rank=1,
)  # fmt: skip
_TIMED_OUT: Final = Column(
    "time-out", "Queue pairs that waited for the NIC's time-out",
    number(_median("qps_timeout"), format_count), rank=1,
)  # fmt: skip
_JOB_LOSES: Final = Column(
    "Job loses", "Longer than without the failure",
    number(_median("stall_us"), format_microseconds), rank=0,
)  # fmt: skip
_JCT_RATIO: Final = Column(
    "JCT ratio", "Job completion time over that without failure",
    number(_median("jct_ratio"), _ratio), rank=0,
)  # fmt: skip

CONVERGENCE: Final = (
    _SCHEME,
    Column("Role", "Local: lost its own port; remote: was told", text("role"), False, rank=0),
    _CONVERGED,
    Column("95 % interval", "Of the mean", _interval("convergence_us"), rank=2),
    *(
        Column(stage.capitalize(), f"Part of the convergence: {stage}", _stage(stage), rank=1)
        for stage in STAGES
    ),
    Column("Devices", "Switches that changed routes in this role",
           number(_median("devices"), format_count), rank=3),
)  # fmt: skip

COSTS: Final = (
    _SCHEME,
    _CONVERGED,
    Column("Loss lasts", "First packet lost to the last",
           number(_median("loss_duration_us"), format_microseconds), rank=2),
    _PACKETS_LOST,
    Column("Bytes lost", "On the wire", number(_median("bytes_lost"), format_bytes), rank=4),
    Column("QPs hit", "Queue pairs with traffic on the dead link",
           number(_median("flows_affected"), format_count), rank=1),
    Column("in an RTT", "Queue pairs that went on after a round trip",
           number(_median("qps_rtt"), format_count), rank=3),
    _TIMED_OUT,
    Column("Transport", "From the new path to the last queue pair that goes on",
           number(_median("transport_us"), format_microseconds), rank=3),
    _JOB_LOSES,
    _JCT_RATIO,
    Column("95 % interval", "Of the mean of what the job loses", _interval("stall_us"), rank=5),
    Column("MMR", "Largest load over the mean, links upwards, after the failure",
           number(_median("mmr"), _ratio), rank=4),
    Column("JFI", "Jain's fairness index of those loads",
           number(_median("jfi"), _ratio), rank=5),
)  # fmt: skip

_SWEPT: Final = ("convergence_us", "stall_us", "jct_ratio", "packets_lost", "qps_timeout")


def sweep_rows(document: Document) -> list[dict[str, Any]]:
    """Return a row for each point and scheme of a sweep."""
    return [
        {
            "recovery": result["recovery"],
            "role": worst_role(result),
            **{f"set {key}": value for key, value in point["settings"].items()},
            **{key: result[key] for key in _SWEPT},
        }
        for point in document["points"]
        for result in point["results"]
    ]


def sweep_columns(document: Document) -> tuple[Column, ...]:
    """Return the columns of a sweep: what was set, and what came of it."""
    keys = document["sweep"]
    return (
        *(
            Column(key, f"Value of {key} at this point", text(f"set {key}"), False, rank=0)
            for key in keys
        ),
        _SCHEME,
        _CONVERGED,
        _PACKETS_LOST._replace(rank=2),
        _TIMED_OUT._replace(rank=3),
        _JOB_LOSES,
        _JCT_RATIO._replace(rank=1),
    )
