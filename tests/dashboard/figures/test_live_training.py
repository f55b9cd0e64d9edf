"""A live job's figures: bars in milliseconds on a time axis, lines that break at pauses."""

import json
from pathlib import Path

from live_jobs import SLOW, START_NS, VIEW, iteration, store_of

from fabricscope.dashboard.data.training import LiveJob, read_jobs
from fabricscope.dashboard.figures.live_strips import as_times
from fabricscope.dashboard.figures.live_training import draw_bandwidths, draw_iterations


def job_of(folder: Path, *rows: dict[str, object]) -> LiveJob:
    return read_jobs(store_of(folder, *rows), VIEW)[0]


def test_a_bar_begins_with_its_iteration_and_lasts_as_long(tmp_path: Path) -> None:
    job = job_of(tmp_path, iteration(0), iteration(1, straggler=json.dumps(SLOW)))
    usual, held = draw_iterations(job, VIEW.start_ns, VIEW.end_ns).data
    assert list(usual.base) == as_times([START_NS])
    assert list(usual.x) == [50.0]
    assert usual.marker.pattern.shape == ""
    assert held.name == "held back"
    assert held.marker.pattern.shape == "x"
    assert usual.y == held.y


def test_many_iterations_are_joined(tmp_path: Path) -> None:
    job = job_of(tmp_path, *[iteration(k / 100) for k in range(5_000)])
    figure = draw_iterations(job, VIEW.start_ns, VIEW.end_ns)
    assert sum(len(trace.x) for trace in figure.data) <= 2_000


def test_bandwidth_has_a_unit_and_breaks_at_a_pause(tmp_path: Path) -> None:
    job = job_of(tmp_path, *[iteration(k / 10) for k in range(20)], iteration(50))
    bus, algorithm = draw_bandwidths(job, VIEW.start_ns, VIEW.end_ns).data
    assert bus.y.count(None) == algorithm.y.count(None) == 1
    assert bus.y[0] == 4 / 3
    assert draw_bandwidths(job, 0, 1).layout.yaxis.title.text == "Bandwidth (Gb/s)"


def test_without_data_moved_it_says_so(tmp_path: Path) -> None:
    job = job_of(tmp_path, iteration(0, busbw_gbps=0.0, algbw_gbps=0.0))
    assert "moved data" in draw_bandwidths(job, 0, 1).layout.annotations[0].text
