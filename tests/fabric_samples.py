"""Samples of every link of a fabric, made up for tests and measurements of the live site.

One link fails a third into the time, one is congested; everything else carries a load that swings.
"""

import math
import time
from collections.abc import Iterator

import numpy as np
import polars as pl

from fabricscope.recorder import Recorder
from fabricscope.schemas import schema_of
from fabricscope.store import DeltaStore
from fabricscope.topology.fabric import Fabric

SECOND_NS = 1_000_000_000
LOSSY = "lost 0.0001 of its RDMA packets"
MARKED = "marked 18% of its packets CE"


def link_rows(fabric: Fabric, time_ns: int, collector: str = "switches") -> pl.DataFrame:
    """Return a row for each link and direction of the second at `time_ns`."""
    count = len(fabric.links)
    names = np.repeat(np.array(fabric.link_names, dtype=object), 2)
    rates = np.repeat(np.array([link.rate_gbps for link in fabric.links]), 2)
    phase = np.arange(2 * count) * 0.7
    load = 0.35 + 0.25 * np.sin(time_ns / 1e9 / 20 + phase)
    failing = worst_link(fabric)
    congested = (failing + count // 2) % count
    score = np.full(2 * count, 100.0)
    reasons = np.full(2 * count, "", dtype=object)
    lost = np.zeros(2 * count, np.int64)
    marked = np.zeros(2 * count, np.int64)
    packets = (load * rates * 1e9 / 8 / 4096).astype(np.int64)
    score[2 * failing] = 28.0
    reasons[2 * failing] = LOSSY
    lost[2 * failing] = packets[2 * failing] // 10_000
    score[2 * congested + 1] = 74.0
    reasons[2 * congested + 1] = MARKED
    marked[2 * congested + 1] = packets[2 * congested + 1] * 18 // 100
    load[2 * congested + 1] = 0.97
    frame = pl.DataFrame(
        {
            "time_ns": np.full(2 * count, time_ns // SECOND_NS * SECOND_NS),
            "collector": [collector] * (2 * count),
            "link": names.tolist(),
            "direction": ["up", "down"] * count,
            "source": ["gnmi"] * (2 * count),
            "rate_gbps": rates,
            "utilization": load,
            "burst": np.minimum(1.0, load * 1.3),
            "packets": packets,
            "bytes": packets * 4096,
            "ecn_capable": packets,
            "ecn_marked": marked,
            "lost": lost,
            "score": score,
            "reasons": reasons.tolist(),
        }
    )
    return _complete("link_samples", frame)


def tap_rows(time_ns: int, collector: str = "switches", packets: int = 1_000_000) -> pl.DataFrame:
    """Return the row of one mirror port."""
    swing = int(packets * (1 + 0.2 * math.sin(time_ns / 1e9 / 10)))
    return _complete(
        "tap_samples",
        pl.DataFrame(
            {
                "time_ns": [time_ns // SECOND_NS * SECOND_NS],
                "collector": [collector],
                "tap": ["eth2"],
                "packets": [swing],
                "bytes": [swing * 1_000],
                "sampling": [1],
            }
        ),
    )


def worst_link(fabric: Fabric) -> int:
    """Return the number of the link that loses packets: a leaf's first one upwards."""
    for number, link in enumerate(fabric.links):
        if min(fabric.devices[link.a].tier, fabric.devices[link.b].tier) > 0:
            return number
    return 0


def fill(store: DeltaStore, fabric: Fabric, end_ns: int, seconds: int) -> None:
    """Write `seconds` seconds of samples that end at `end_ns`, in one go."""
    times = [end_ns - step * SECOND_NS for step in range(seconds, 0, -1)]
    store.append("link_samples", pl.concat([link_rows(fabric, one) for one in times]))
    store.append("tap_samples", pl.concat([tap_rows(one) for one in times]))


def follow(store: DeltaStore, fabric: Fabric) -> Iterator[int]:
    """Record the current second's samples, yield its time, and go on with the next, for ever."""
    recorder = Recorder(store, "switches")
    recorder.start()
    try:
        while True:
            now = time.time_ns() // SECOND_NS * SECOND_NS
            recorder.append("link_samples", link_rows(fabric, now))
            recorder.append("tap_samples", tap_rows(now))
            yield now
            time.sleep(max(0.0, 1.0 - time.time() % 1.0))
    finally:
        recorder.stop()


def _complete(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with every column: counts are 0, the rest is unknown."""
    schema = schema_of(table)
    missing = [
        pl.lit(0 if dtype in (pl.Int64, pl.Int32) else None, dtype).alias(name)
        for name, dtype in schema.items()
        if name not in frame.columns
    ]
    return frame.with_columns(missing).select(list(schema)).cast(dict(schema))
