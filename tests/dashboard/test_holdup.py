"""Who holds a live job back: the sentence and what it is based on."""

import json
from pathlib import Path

from live_jobs import SLOW, VIEW, iteration, store_of

from fabricscope.dashboard.data.training import read_jobs
from fabricscope.dashboard.holdup import describe_holdup


def test_a_slow_link_is_named_with_both_rates(tmp_path: Path) -> None:
    rows = [iteration(0), iteration(1, straggler=json.dumps(SLOW))]
    found = describe_holdup(read_jobs(store_of(tmp_path, *rows), VIEW)[0])
    assert found.suspect is not None
    assert (found.suspect.ip, found.suspect.direction) == ("10.0.0.2", "up")
    assert "10.0.0.2" in found.sentence
    assert "500 Mb/s" in found.evidence[0]
    assert "20 Gb/s (2.50 %) in 8 iterations" in found.evidence[0]
    assert found.evidence[1].startswith("Held back were 1 of 2 iterations in this time range")


def test_a_late_rank_is_named_with_how_late(tmp_path: Path) -> None:
    late = {"kind": "compute", "rank": 0, "ip": "10.0.0.1", "late_ms": 12.5, "evidence": None}
    rows = [iteration(0, straggler=json.dumps(late))]
    found = describe_holdup(read_jobs(store_of(tmp_path, *rows), VIEW)[0])
    assert "began 12.5 ms after the others" in found.evidence[0]


def test_nobody_is_nobody(tmp_path: Path) -> None:
    found = describe_holdup(read_jobs(store_of(tmp_path, iteration(0)), VIEW)[0])
    assert found.suspect is None
    assert found.sentence == "No rank and no link holds the job back."
