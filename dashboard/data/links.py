"""What links carried, lost and were scored at: now, at a moment, and over time."""

from typing import Final

import polars as pl

from fabricscope.dashboard.data.intervals import find_newest, read_finished, read_with_lengths
from fabricscope.dashboard.data.samples import of_collector, read_samples
from fabricscope.dashboard.view import View
from fabricscope.schemas import interval_of
from fabricscope.store import Store

__all__ = [
    "BEHIND_S",
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
_ROUND_TRIPS: Final = ("ack_rtt_p50", "ack_rtt_p99", "ack_rtt_max")


def classify(score: float | None) -> str:
    """Return the class of a health score: good, fair, poor, bad, or unknown for none."""
    if score is None:
        return "unknown"
    return next(name for name, least in reversed(HEALTH) if score >= least or least == 0.0)


def link_states(store: Store, view: View) -> pl.DataFrame:
    """Return the newest state of each link and direction, the worst first.

    Columns: link, direction, seconds that were seen, rate_gbps, utilization and burst (0 to 1),
    counts over those seconds, ecn_share, pause_share, gbps, ack_rtt_p99, score, reasons, time_ns of
    the last. Several sources or collectors that count the same link are not added up: the largest
    counts. A collector that is up to a minute behind is taken at its own newest seconds; when all
    of them are silent, the newest seconds of the view are told.
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
    if seen.is_empty():
        return _silent_states(store, view)
    newest = seen.group_by("collector").agg(pl.col("time_ns").max())["time_ns"].min()
    behind_s = max(0, view.end_ns - int(newest)) // _SECOND_NS  # type: ignore[arg-type]
    rows = _read(store, view, view.end_ns, NOW_S + behind_s)
    newest_of = pl.col("time_ns").max().over("collector")
    return _summarize(rows.filter(pl.col("time_ns") > newest_of - NOW_S * _SECOND_NS))


def _silent_states(store: Store, view: View) -> pl.DataFrame:
    """Return the states of the newest seconds in the view; without any left, of all of it."""
    newest_ns = find_newest(store, "link_samples", view.start_ns, view.end_ns, of_collector(view))
    if newest_ns is None:
        return _summarize(_read(store, view, view.end_ns, NOW_S))
    states = states_at(store, view, newest_ns, NOW_S)
    return states_at(store, view, view.end_ns, int(view.seconds)) if states.is_empty() else states


def states_at(store: Store, view: View, end_ns: int, reach_s: int) -> pl.DataFrame:
    """Return what `link_states` does for the `reach_s` seconds before `end_ns`."""
    return _summarize(_read(store, view, end_ns, reach_s))


def _read(store: Store, view: View, end_ns: int, reach_s: int) -> pl.DataFrame:
    return read_finished(
        store,
        "link_samples",
        end_ns - reach_s * _SECOND_NS,
        end_ns + _SECOND_NS,
        of_collector(view),
        reach_s + 1 if reach_s <= BEHIND_S + NOW_S else BEHIND_S,
    )


def _summarize(rows: pl.DataFrame) -> pl.DataFrame:
    """Return one row a link and direction."""
    states = _combine(rows.with_columns(pl.lit(0).alias("moment")))
    return states.drop("moment", "collector").sort("score", *_KEYS, nulls_last=True)


def _combine(rows: pl.DataFrame) -> pl.DataFrame:
    """Return one row a link, direction and `moment`.

    Each source of a collector is summed up; of those that saw the same link the largest counts.
    """
    worst = pl.col("reasons", "collector").sort_by("score", nulls_last=True).first()
    seconds = pl.col("time_ns").n_unique() * pl.col("length_ns").max() / _SECOND_NS
    by_source = rows.lazy().group_by(*_KEYS, "moment", "collector", "source").agg(
        pl.col("time_ns").n_unique().alias("intervals"),
        seconds.alias("seconds"),
        pl.col("time_ns").max(),
        pl.col("rate_gbps").max(),
        pl.col("utilization").mean(),
        pl.col("burst").max(),
        *(pl.col(name).sum() for name in _COUNTS),
        pl.col(*_ROUND_TRIPS).max(),
        pl.col("rx_power_dbm", "score").min(),
        pl.col("reasons").sort_by("score", nulls_last=True).first(),
    )  # fmt: skip
    together = by_source.with_columns(_rates()).group_by(*_KEYS, "moment").agg(
        pl.col("intervals", "seconds", "time_ns", "rate_gbps", "utilization", "burst").max(),
        pl.col(*_COUNTS, *_ROUND_TRIPS, "pause_share", "gbps").max(),
        pl.col("rx_power_dbm", "score").min(),
        worst,
        pl.col("source").unique().sort().str.join(", "),
    )  # fmt: skip
    marked = (pl.col("ecn_marked") / pl.col("packets")).fill_nan(0.0)
    return together.with_columns(marked.alias("ecn_share")).collect()


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
    """Return one row a time and direction of one link, in order of time.

    Columns: those of `link_states`, the worst collector, and step_s, what the times are apart.
    """
    rows = read_with_lengths(
        store,
        "link_samples",
        view.start_ns,
        view.end_ns,
        of_collector(view),
        max_points,
        pl.col("link") == link,
    )
    step_ns = interval_of("link_samples", view.start_ns, view.end_ns, max_points)
    history = _combine(rows.with_columns(pl.col("time_ns").alias("moment")))
    return (
        history.drop("moment")
        .with_columns(pl.lit(step_ns / _SECOND_NS).alias("step_s"))
        .sort("time_ns", "direction")
    )


def _rates() -> list[pl.Expr]:
    """Return what counts are in relation to time.

    A port that tells of itself every 20 s has one row in them: its utilization is of all that time,
    and tells how long it was.
    """
    bits = pl.col("bytes") * 8
    known = (pl.col("utilization") > 0) & (pl.col("rate_gbps") > 0)
    told_ns = pl.when(known).then(bits / (pl.col("utilization") * pl.col("rate_gbps")))
    lasted_ns = pl.max_horizontal(pl.col("seconds") * _SECOND_NS, told_ns)
    return [
        (pl.col("pause_ns") / lasted_ns).clip(0, 1).alias("pause_share"),
        (bits / lasted_ns).alias("gbps"),
    ]
