"""Captures and generated traffic in turn."""

import time
from pathlib import Path

from fabricscope.collectors.synthetic import generate
from fabricscope.pipeline.live.playlist import PlaylistFeed
from fabricscope.records import BATCH_ROWS, allocate_packets

RECIPE = """
[network]
hosts = 2

[transport]
initial_psn = "random"

[[workloads]]
kind = "bulk"
messages = 3
message_bytes = 8192
"""


def test_turns_follow_one_another_with_new_packet_numbers(tmp_path: Path) -> None:
    recipe = tmp_path / "two.toml"
    recipe.write_text(RECIPE, encoding="utf-8")
    packets = allocate_packets(BATCH_ROWS)
    frames, times = [], []
    began_ns = time.time_ns()
    with PlaylistFeed([str(recipe)], "mirror") as feed:
        assert feed.tap_names() == ["mirror"]
        deadline_s = time.monotonic() + 60
        while len(frames) < 16 and time.monotonic() < deadline_s:
            batch = feed.read(packets, 0.05)
            assert batch is not None
            view, rows = batch
            for k in range(rows.time_ns.size):
                start = int(rows.packet_offset[k])
                frames.append(bytes(view[start : start + int(rows.captured_length[k])]))
                times.append(int(rows.time_ns[k]))
        folder = Path(feed._folder.name)
        assert folder.is_dir()
        assert feed.losses() == {}
        feed.stop()
        assert feed.read(packets, 0.0) is None
    assert not folder.exists()
    assert times == sorted(times)
    assert times[0] >= began_ns
    assert len(set(frames)) == len(frames)


def test_a_capture_is_played_as_it_is_each_time(tmp_path: Path) -> None:
    recipe, capture = tmp_path / "two.toml", tmp_path / "two.pcap"
    recipe.write_text(RECIPE, encoding="utf-8")
    count = generate(str(recipe), str(capture)).packets
    packets = allocate_packets(BATCH_ROWS)
    seen = 0
    with PlaylistFeed([str(capture)], "mirror") as feed:
        deadline_s = time.monotonic() + 60
        while seen < 2 * count and time.monotonic() < deadline_s:
            batch = feed.read(packets, 0.05)
            assert batch is not None
            seen += batch[1].time_ns.size
    assert seen == 2 * count
