"""What a map's lines look like at a moment: a class, a load and the worst link of each line."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from fabricscope.dashboard.data.links import classify

__all__ = ["map_state"]


def map_state(lines: Sequence[tuple[str, ...]], states: pl.DataFrame) -> dict[str, Any]:
    """Return, for each line of a map, what its links' states come to.

    health: the class of the worst link; load: the largest mean utilization of a direction, in
    percent; score: the worst, None for unknown; seen: links with samples. `worst` names, for lines
    below good, the worst link.
    """
    known = _by_link(states)
    health, load, score, seen, worst = [], [], [], [], {}
    for number, links in enumerate(lines):
        found = [(known[link], link) for link in links if link in known]
        scores = [one["score"] for one, _ in found if one["score"] is not None]
        loads = [one["utilization"] for one, _ in found if one["utilization"] is not None]
        least = min(scores) if scores else None
        health.append(classify(least) if found else "unknown")
        score.append(None if least is None else round(least))
        load.append(round(100 * sum(loads) / len(loads)) if loads else None)
        seen.append(len(found))
        if health[-1] not in ("good", "unknown"):
            worst[number] = next(link for one, link in found if one["score"] == least)
    return {"health": health, "load": load, "score": score, "seen": seen, "worst": worst}


def _by_link(states: pl.DataFrame) -> Mapping[str, dict[str, Any]]:
    """Return score and utilization of each link: of its worse and of its busier direction."""
    rows = states.group_by("link").agg(pl.col("score").min(), pl.col("utilization").max())
    return {
        link: {"score": score, "utilization": load}
        for link, score, load in rows.select("link", "score", "utilization").iter_rows()
    }
