"""What links carried, lost and were scored at: now, at a moment, and over time."""

from typing import Final

import polars as pl

from fabricscope.dashboard.data.samples import interval_ns, of_collector, read_samples
from fabricscope.dashboard.view import View
from fabricscope.store import Store

__all__ = [
    "GOOD",
    "HEALTH",
    "classify",
    "link_history",
    "link_states",
    "link_trends",
    "states_at",
]

_SECOND_NS: Final = 1_000_000_000
NOW_S: Final = 5
"""Seconds that a link's state of the moment is taken from, the newest of its collector."""
BEHIND_S: Final = 60
"""How far a collector may be behind and still be taken as it is."""
STEPS: Final = 60
"""Steps of the time slider over a time range."""
TREND_POINTS: Final = 45
"""Points of a small curve; asked for are twice as many, since intervals come in few lengths."""
GOOD: Final = 90.0
HEALTH: Final = (("bad", 0.0), ("poor", 40.0), ("fair", 70.0), ("good", GOOD))
"""Classes of a score by the least that belongs to them."""
_COUNTS: Final = (
    "packets", "bytes", "errors", "discards", "flaps", "ecn_capable", "ecn_marked", "pause_ns",
    "lost", "naks", "cnps",
)  # fmt: skip
_KEYS: Final = ("link", "direction")


def classify(score: float | None) -> str:
    """Return the class of a health score: good, fair, poor, bad, or unknown for none."""
    if score is None:
        return "unknown"
    return next(name for name, least in reversed(HEALTH) if score >= least or least == 0.0)


def link_states(store: Store, view: View) -> pl.DataFrame:
    """Return the newest state of each link and direction, the worst first.

    Columns: link, direction, seconds that were seen, rate_gbps, utilization and burst (0 to 1),
    counts over those seconds, ecn_share, pause_share, gbps, ack_rtt_p99, score, reasons, time_ns of
    the last. Several sources that count the same link are not added up: the largest counts. A
    collector that is up to a minute behind is taken at its own newest seconds.
    """
    if not view.live:
        return states_at(store, view, view.end_ns, max(NOW_S, int(view.seconds) // STEPS))
    seen = store.query(
        "link_samples",
        view.end_ns - BEHIND_S * _SECOND_NS,
        view.end_ns + _SECOND_NS,
        columns=["time_ns", "collector"],
        where=of_collector(view),
    )
    newest = seen.group_by("collector").agg(pl.col("time_ns").max())["time_ns"].min()
    behind_s = 0 if newest is None else max(0, view.end_ns - int(newest)) // _SECOND_NS  # type: ignore[arg-type]
    rows = _read(store, view, view.end_ns, NOW_S + behind_s)
    newest_of = pl.col("time_ns").max().over("collector")
    return _summarize(rows.filter(pl.col("time_ns") > newest_of - NOW_S * _SECOND_NS))


def states_at(store: Store, view: View, end_ns: int, reach_s: int) -> pl.DataFrame:
    """Return what `link_states` does for the `reach_s` seconds before `end_ns`."""
    return _summarize(_read(store, view, end_ns, reach_s))


def _read(store: Store, view: View, end_ns: int, reach_s: int) -> pl.DataFrame:
    return store.query(
        "link_samples",
        end_ns - reach_s * _SECOND_NS,
        end_ns + _SECOND_NS,
        where=of_collector(view),
        max_points=reach_s + 1 if reach_s <= BEHIND_S + NOW_S else BEHIND_S,
    )


def _summarize(rows: pl.DataFrame) -> pl.DataFrame:
    """Return one row a link and direction."""
    by_source = rows.lazy().group_by(*_KEYS, "source").agg(
        pl.col("time_ns").n_unique().alias("intervals"),
        pl.col("time_ns").min().alias("first_ns"),
        pl.col("time_ns").max().alias("time_ns"),
        pl.col("rate_gbps").max(),
        pl.col("utilization").mean(),
        pl.col("burst").max(),
        *(pl.col(name).sum() for name in _COUNTS),
        pl.col("ack_rtt_p99").max(),
        pl.col("rx_power_dbm").min(),
        pl.col("score").min(),
        pl.col("reasons").sort_by("score", nulls_last=True).first(),
    )  # fmt: skip
    worst = pl.col("reasons").sort_by("score", nulls_last=True).first()
    states = by_source.group_by(_KEYS).agg(
        pl.col("intervals", "time_ns", "rate_gbps", "utilization", "burst", *_COUNTS).max(),
        pl.col("ack_rtt_p99").max(),
        pl.col("rx_power_dbm", "first_ns", "score").min(),
        worst,
        pl.col("source").sort().str.join(", "),
    )
    return states.with_columns(_shares()).sort("score", *_KEYS, nulls_last=True).collect()


def link_trends(store: Store, view: View) -> pl.DataFrame:
    """Return link, direction, and lists of `utilization` and `score` over the view's time."""
    columns = ["time_ns", *_KEYS, "utilization", "score"]
    rows = read_samples(store, view, "link_samples", columns, 2 * TREND_POINTS)
    step = max(_SECOND_NS, (view.end_ns - view.start_ns) // TREND_POINTS)
    return (
        rows.lazy()
        .group_by(*_KEYS, pl.col("time_ns") // step)
        .agg(pl.col("utilization").max(), pl.col("score").min())
        .sort("time_ns")
        .group_by(_KEYS)
        .agg(pl.col("utilization").round(3), pl.col("score").round(0))
        .collect()
    )


def link_history(store: Store, view: View, link: str, max_points: int) -> pl.DataFrame:
    """Return the rows of one link in order of time, with ecn_share, pause_share and gbps."""
    condition = pl.col("link") == link
    seen_by = of_collector(view)
    rows = store.query(
        "link_samples",
        view.start_ns,
        view.end_ns,
        where=condition if seen_by is None else condition & seen_by,
        max_points=max_points,
    )
    step = interval_ns(rows["time_ns"])
    seconds = step / _SECOND_NS
    return rows.with_columns(
        (pl.col("ecn_marked") / pl.col("packets")).fill_nan(0.0).alias("ecn_share"),
        (pl.col("pause_ns") / step).clip(0, 1).alias("pause_share"),
        (pl.col("bytes") * 8e-9 / seconds).alias("gbps"),
        pl.lit(seconds).alias("step_s"),
    ).sort("time_ns")


def _shares() -> list[pl.Expr]:
    """Return what counts are in relation: to packets, to time."""
    seconds = ((pl.col("time_ns") - pl.col("first_ns")) / _SECOND_NS + 1).alias("seconds")
    return [
        seconds,
        (pl.col("ecn_marked") / pl.col("packets")).fill_nan(0.0).alias("ecn_share"),
        (pl.col("pause_ns") / _SECOND_NS / seconds).clip(0, 1).alias("pause_share"),
        (pl.col("bytes") * 8e-9 / seconds).alias("gbps"),
    ]
