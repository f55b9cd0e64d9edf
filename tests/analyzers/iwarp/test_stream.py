"""TCP order: reordered, repeated and lost segments."""

import random

import pytest

from reference import iwarp_traffic as traffic
from reference.iwarp import dissect


@pytest.mark.parametrize("seed", range(12))
def test_reordered_and_repeated_segments_change_nothing(seed: int) -> None:
    rng = random.Random(100 + seed)
    segments = traffic.recut(traffic.random_connection(rng), rng)
    wanted = dissect(segments)
    moved = segments[:2]
    rest = segments[2:]
    for start in range(0, len(rest), 20):
        window = rest[start : start + 20]
        window += [rng.choice(window) for _ in range(3)]
        rng.shuffle(window)
        moved += window
    starts = [next((s for s in rest if s.side == side), None) for side in (0, 1)]
    moved += [s for s in starts if s is not None]
    analyzer, result = traffic.run(moved)
    traffic.compare(analyzer, wanted)
    assert result.connections["lost_bytes"].sum() == 0
    assert result.connections["retransmitted_segments"].sum() > 0 or not rest


def test_loss_is_counted_and_framing_found_again() -> None:
    ulpdus = ([traffic.untagged(3, bytes(500), msn=k) for k in range(100)], [])
    for markers in (0, 1):
        segments = traffic.connection((0, markers), (1, 1), ulpdus)
        lost = segments.pop(12)
        analyzer, result = traffic.run(segments)
        row = result.connections.to_dicts()[0]
        assert row["lost_bytes"] == len(lost.payload)
        assert row["resyncs"] == 1
        assert row["fpdus"] == row["messages"] == row["crc_good"] == 99
        assert row["resync_frames"] == [13]
        assert row["out_of_order_segments"] > 60
        assert len(analyzer.fpdus()) == 99
