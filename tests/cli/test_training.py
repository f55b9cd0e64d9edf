"""The chapter of a training job on a terminal."""

import io
from typing import Any

import pytest
from examples.training import hostile_training_document, training_document, tree_document
from rich.console import Console

from fabricscope.cli.screen import Screen
from fabricscope.cli.training import (
    JOBS_LIMIT,
    RING_LIMIT,
    print_training,
    print_training_briefly,
)


def _text(document: dict[str, Any], width: int = 160, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    print_training(document, Screen(Console(file=file, width=width)))
    return raw.getvalue().decode(encoding)


def test_the_diagnosis_is_the_first_line_of_the_chapter() -> None:
    lines = [line for line in _text(training_document()).splitlines() if line]
    assert lines[0].strip() == "Training"
    assert lines[1].strip().startswith("! Rank 10.77.0.13 holds the job back")
    assert "Step time           118 ms        p99 121 ms" in "\n".join(lines)
    assert "AllReduce  ring" in "\n".join(lines)


def test_the_ring_closes_and_marks_the_late_rank() -> None:
    lines = _text(training_document()).splitlines()
    top = next(index for index, line in enumerate(lines) if "╭─▶" in line)
    assert "──▶ [! 10.77.0.13: late 80.2 ms] ──▶ 10.77.0.14" in lines[top]
    assert len(lines[top].rstrip()) == len(lines[top + 1].rstrip())
    assert lines[top + 1].strip().startswith("╰─")


def test_plain_ascii_says_the_same() -> None:
    text = _text(training_document("link"), 80, "ascii")
    assert "10.77.0.12 == slow uplink 400 Mb/s ==> 10.77.0.13" in " ".join(text.split())
    assert "back to the first" in text


def test_a_slow_link_that_closes_the_ring_is_named_below() -> None:
    document = training_document("link")
    document["collectives"][0]["straggler"]["ip"] = "10.77.1.14"
    lines = [line for line in _text(document).splitlines() if "╰" in line]
    assert "slow uplink 400 Mb/s" in lines[0]


def test_a_ring_seen_in_part_stays_open() -> None:
    document = training_document()
    for collective in document["collectives"]:
        collective["partial_view"] = True
    text = _text(document)
    assert "╭" not in text
    assert "back to the first" not in text
    assert "──▶ 10.77.1.14\n" in text


def test_a_long_ring_shows_the_part_around_the_straggler() -> None:
    document = training_document()
    ranks = [f"10.0.0.{number}" for number in range(1, 65)]
    entry = document["collectives"][0]
    entry.update(ranks=ranks)
    entry["straggler"].update(rank=49, ip=ranks[49])
    document["collectives"], document["jobs"] = [entry], []
    text = _text(document, 80)
    assert "[! 10.0.0.50: late 80.2 ms]" in text
    assert f"{64 - RING_LIMIT} more ranks, back to the first" in " ".join(text.split())


def test_a_tree_names_its_hub_first() -> None:
    assert "Sends               10.77.0.13 ↔ 10.77.0.11, 10.77.0.12, 10.77.0.14" in _text(
        tree_document()
    )
    assert "10.77.0.13 <-> 10.77.0.11" in _text(tree_document(), 80, "ascii")


def test_everybody_to_everybody_is_one_line() -> None:
    document = tree_document()
    hosts = document["traffic_matrix"]["hosts"]
    document["traffic_matrix"]["bytes"] = [[7] * len(hosts) for _ in hosts]
    assert "Sends               each rank to every other" in _text(document)


def test_the_timeline_shows_when_a_collective_ran() -> None:
    document = training_document(None)
    document["collectives"] = document["collectives"][:1]
    document["collectives"][0]["iteration_spans"] = [
        [10**18, 10**18 + 10],
        [10**18 + 90, 10**18 + 100],
    ]
    document["capture"]["start_ns"] = 10**18
    line = next(line for line in _text(document).splitlines() if "█" in line)
    bar = line.split("MiB")[1].strip()
    assert bar[0] == bar[-1] == "█"
    assert bar[20:50].strip() == ""


def _brief(document: dict[str, Any]) -> str:
    file = io.StringIO()
    print_training_briefly(document, Screen(Console(file=file, width=160)))
    return file.getvalue()


def test_a_brief_chapter_keeps_the_diagnosis_and_draws_trouble() -> None:
    document = training_document()
    document["jobs"] = document["jobs"] * 2
    text = _brief(document)
    assert "──▶" not in _brief(training_document(None))
    assert "Training  1 of 2 jobs" in text
    assert "holds the job back" in text
    assert "──▶" in text
    assert "Step time" not in text
    assert "busbw" not in text


def test_no_job_no_chapter() -> None:
    document = training_document()
    document["jobs"] = document["collectives"] = []
    assert _text(document) == ""


def test_many_jobs_are_counted() -> None:
    document = training_document()
    document["jobs"] = document["jobs"] * (JOBS_LIMIT + 3)
    text = _text(document)
    assert "Training job 1" in text
    assert "3 more jobs, use --json" in text


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
@pytest.mark.parametrize("document", [training_document, tree_document, hostile_training_document])
def test_no_line_is_too_long_and_no_name_commands(document: Any, encoding: str, width: int) -> None:
    text = _text(document(), width, encoding)
    assert "\x1b" not in text
    assert "\u202e" not in text
    if width >= 80:
        assert all(len(line.rstrip()) <= width for line in text.splitlines())
