"""Jobs with hosts in common, told apart by their queue pairs; on the same hosts they are one."""

from pathlib import Path

import pytest

from fabricscope.analyzers.collectives.results import CollectiveResult
from fabricscope.collectors.synthetic import generate
from fabricscope.pipeline.analysis import Options, analyze

FIRST = [f"10.0.0.{number}" for number in (1, 2, 3, 4)]


def recognised(repository: Path, folder: Path, *changes: tuple[str, str]) -> CollectiveResult:
    text = (repository / "pcaps/recipes/shared-hosts.toml").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "recipe.toml").write_text(text, encoding="utf-8")
    generate(str(folder / "recipe.toml"), str(folder / "made.pcap"))
    return analyze([str(folder / "made.pcap")], Options(), lambda *_: None).collectives


@pytest.mark.parametrize(("ranks", "count"), [("[2, 3, 4, 5]", 4), ("[3, 4, 5]", 3)])
def test_two_rings(ranks: str, count: int, repository: Path, tmp_path: Path) -> None:
    result = recognised(repository, tmp_path, ("ranks = [2, 3, 4, 5]", f"ranks = {ranks}"))
    assert [len(job["ranks"]) for job in result.jobs] == [4, count]
    one, other = result.collectives
    assert (one["job"], other["job"]) == (0, 1)
    assert (one["operation"], one["iterations"]) == ("allreduce", 5)
    assert (other["operation"], other["iterations"]) == ("allreduce", 4)
    assert one["message_bytes"] == pytest.approx(131_072, rel=0.01)
    assert other["message_bytes"] == pytest.approx(196_608, rel=0.01)
    assert sorted(one["ranks"]) == FIRST
    assert [job["steps"] for job in result.jobs] == [5, 4]


def test_a_ring_and_an_all_to_all(repository: Path, tmp_path: Path) -> None:
    second = 'kind = "allreduce"\nalgorithm = "ring"\nranks = [2, 3, 4, 5]'
    mesh = 'kind = "alltoall"\nalgorithm = "direct"\nranks = [2, 3, 4, 5]'
    result = recognised(repository, tmp_path, (second, mesh))
    found = {entry["operation"]: entry for entry in result.collectives}
    assert set(found) == {"allreduce", "alltoall"}
    assert found["allreduce"]["iterations"] == 5
    assert found["alltoall"]["iterations"] == 4
    assert found["alltoall"]["job"] != found["allreduce"]["job"]


def test_on_the_same_hosts_they_are_one_job(repository: Path, tmp_path: Path) -> None:
    result = recognised(repository, tmp_path, ("ranks = [2, 3, 4, 5]", "ranks = [0, 1, 2, 3]"))
    (job,) = result.jobs
    assert job["ranks"] == FIRST
    # Iterations of the two that overlap in time look like one larger operation.
    assert {entry["operation"] for entry in result.collectives} == {"allreduce"}
    sizes = {round(entry["message_bytes"], -3) for entry in result.collectives}
    assert sizes >= {131_000, 197_000}
