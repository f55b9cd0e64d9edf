"""A collective that never ends: the rank that everybody waits for, wherever it stops."""

from pathlib import Path

import pytest

from fabricscope.analyzers.findings.finding import Finding
from fabricscope.collectors.synthetic import generate
from fabricscope.pipeline.analysis import Options, analyze


def stuck(recipe: str, folder: Path) -> list[Finding]:
    (folder / "recipe.toml").write_text(recipe, encoding="utf-8")
    generate(str(folder / "recipe.toml"), str(folder / "made.pcap"))
    found = analyze([str(folder / "made.pcap")], Options(), lambda *_: None).collectives.findings
    return [finding for finding in found if finding.kind == "stuck_collective"]


@pytest.fixture
def recipe(repository: Path) -> str:
    return (repository / "pcaps/recipes/stuck.toml").read_text(encoding="utf-8")


# An AllReduce is 24 data packets of a rank: 96 is the first one of the fifth.
@pytest.mark.parametrize("packet", [97, 100, 110, 119])
@pytest.mark.parametrize("rank", [0, 2, 3])
def test_the_rank_that_stops_is_named(packet: int, rank: int, recipe: str, tmp_path: Path) -> None:
    text = recipe.replace("packet = 100", f"packet = {packet}")
    text = text.replace("src = 2, dst = 3", f"src = {rank}, dst = {(rank + 1) % 4}")
    (finding,) = stuck(text, tmp_path)
    assert (finding.severity, finding.subject) == ("critical", f"10.0.0.{rank + 1}")
    assert finding.evidence["silent_s"] == pytest.approx(1.5, abs=0.01)
    assert finding.evidence["waiting_ranks"] in (2, 3)
    assert int(finding.evidence["sent_bytes"] or 0) < int(finding.evidence["usual_bytes"] or 0)


def test_a_job_that_ended_is_not_stuck(recipe: str, tmp_path: Path) -> None:
    assert stuck(recipe[: recipe.index("[[faults]]")], tmp_path) == []
