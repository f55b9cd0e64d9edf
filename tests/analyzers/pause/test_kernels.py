"""Pause time: min(quanta, time to the next frame), for each sender and priority."""

import struct
from typing import Any, Final

import numpy as np
import pytest

from fabricscope.analyzers.pause import PauseTable
from fabricscope.analyzers.pause.table import MAX_SOURCES
from fabricscope.records import FLAG_DUPLICATE, PROTOCOLS, Packets, allocate_packets

PFC: Final = PROTOCOLS.index("pfc")
PAUSE: Final = PROTOCOLS.index("pause")
START: Final = 10**18

Frame = tuple[int, int, int, dict[int, int]]
"""Time after the start in ns, tap, MAC, quanta by priority; priority 8 for a classic PAUSE."""


def batch(frames: list[Frame]) -> tuple[np.ndarray, Packets]:
    """Return the bytes after the opcode of each frame, and their columns."""
    packets = allocate_packets(len(frames))
    raw = b""
    for i, (time_ns, tap, mac, quanta) in enumerate(frames):
        packets.time_ns[i] = START + time_ns
        packets.frame[i] = i + 1
        packets.tap[i] = tap
        packets.src_lo[i] = mac
        packets.packet_offset[i] = packets.payload_offset[i] = len(raw)
        if 8 in quanta:
            packets.protocol[i] = PAUSE
            body = struct.pack(">H", quanta[8])
        else:
            packets.protocol[i] = PFC
            enabled = sum(1 << priority for priority in quanta)
            body = struct.pack(">9H", enabled, *(quanta.get(p, 0) for p in range(8)))
        raw += body
        packets.captured_length[i] = len(body)
    return np.frombuffer(raw, np.uint8), packets


def slow(frames: list[Frame], end_ns: int, rate_gbps: float) -> dict[Any, dict[str, float]]:
    """Return the same by the definition: each frame holds until its quanta or the next one."""
    series: dict[Any, list[tuple[int, int]]] = {}
    for time_ns, tap, mac, quanta in frames:
        for priority, value in quanta.items():
            series.setdefault((tap, mac, priority), []).append((time_ns, value))
    totals = {}
    for key, own in series.items():
        following = [time_ns for time_ns, _ in own[1:]] + [end_ns]
        pause_ns = sum(
            max(min(int(value * 512 / rate_gbps), after - time_ns), 0)
            for (time_ns, value), after in zip(own, following, strict=True)
        )
        xoff = sum(value > 0 for _, value in own)
        totals[key] = {"xoff": xoff, "xon": len(own) - xoff, "pause_s": pause_ns / 1e9}
    return totals


def run(frames: list[Frame], end_ns: int, rate_gbps: float = 100.0, step: int = 50) -> PauseTable:
    table = PauseTable(link_rate_gbps=rate_gbps)
    for start in range(0, len(frames), step):
        view, packets = batch(frames[start : start + step])
        table.update(view, packets)
    return table


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rate_gbps", [10.0, 100.0, 400.0])
def test_random_storms_equal_the_definition(seed: int, rate_gbps: float) -> None:
    rng = np.random.default_rng(seed)
    frames: list[Frame] = []
    now = 0
    for _ in range(300):
        now += int(rng.integers(0, 400_000))
        classic = rng.random() < 0.2
        chosen = [8] if classic else rng.choice(8, int(rng.integers(0, 4)), replace=False).tolist()
        quanta = {int(p): int(rng.choice([0, 1, 1000, 65_535])) for p in chosen}
        if quanta:
            frames.append((now, int(rng.integers(0, 2)), int(rng.integers(1, 4)), quanta))
    rows = run(frames, now, rate_gbps).finish(START + now + 10_000)
    wanted = slow(frames, now + 10_000, rate_gbps)
    assert len(rows) == len(wanted)
    assert [row["pause_s"] for row in rows] == sorted(
        (row["pause_s"] for row in rows), reverse=True
    )
    for row in rows:
        mac = int(str(row["source_mac"]).replace(":", ""), 16)
        priority = 8 if row["priority"] is None else row["priority"]
        slow_row = wanted[row["tap"], mac, priority]
        assert (row["xoff"], row["xon"]) == (slow_row["xoff"], slow_row["xon"])
        assert row["frames"] == slow_row["xoff"] + slow_row["xon"]
        assert row["pause_s"] == pytest.approx(slow_row["pause_s"], abs=1e-6)


def test_a_full_pause_lasts_as_long_as_the_standard_says() -> None:
    for rate_gbps, pause_us in ((100.0, 335.5), (400.0, 83.9), (800.0, 41.9)):
        [row] = run([(0, 0, 1, {3: 65_535})], 0, rate_gbps).finish(START + 10**9)
        assert float(str(row["pause_s"])) * 1e6 == pytest.approx(pause_us, abs=0.1)
        assert row["priority"] == 3


def test_the_end_of_the_capture_cuts_a_pause() -> None:
    [row] = run([(0, 0, 1, {3: 65_535})], 0).finish(START + 100_000)
    assert row["pause_s"] == pytest.approx(1e-4)


def test_priorities_do_not_end_each_others_pauses() -> None:
    frames: list[Frame] = [(0, 0, 1, {3: 65_535}), (1000, 0, 1, {4: 0}), (2000, 0, 1, {3: 0})]
    rows = run(frames, 0).finish(START + 10**9)
    assert {row["priority"]: row["pause_s"] for row in rows} == {3: 2e-6, 4: 0.0}


def test_copies_and_cut_frames_do_not_count() -> None:
    view, packets = batch([(0, 0, 1, {3: 100}), (10, 0, 1, {3: 100}), (20, 0, 1, {3: 100})])
    packets.flags[1] = FLAG_DUPLICATE
    packets.captured_length[2] = 10
    table = PauseTable(link_rate_gbps=100.0)
    table.update(view, packets)
    [row] = table.finish(START + 10**9)
    assert row["frames"] == 1


def test_senders_past_the_bound_are_counted() -> None:
    frames: list[Frame] = [(n, 0, n + 1, {0: 1}) for n in range(MAX_SOURCES + 7)]
    table = run(frames, 0)
    assert table.dropped == 7
    assert len(table.finish(START)) == MAX_SOURCES
