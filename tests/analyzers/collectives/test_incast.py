"""Incast: recipes with and without one, other numbers of senders, and captures that have none."""

from pathlib import Path
from typing import Any

import pytest

from fabricscope.analyzers.findings.finding import Finding
from fabricscope.collectors.synthetic import generate
from fabricscope.pipeline.analysis import Options, analyze


def incasts(path: Path) -> list[Finding]:
    found = analyze([str(path)], Options(), lambda *_: None).collectives.findings
    return [finding for finding in found if finding.kind == "incast"]


def generated(repository: Path, folder: Path, name: str, *changes: tuple[str, str]) -> Path:
    text = (repository / "pcaps/recipes" / f"{name}.toml").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    recipe = folder / "recipe.toml"
    recipe.write_text(text, encoding="utf-8")
    truth: dict[str, Any] = generate(str(recipe), str(folder / "made.pcap")).content
    assert truth["taps"]
    return folder / "made.pcap"


def test_many_senders_to_one_receiver(repository: Path, tmp_path: Path) -> None:
    path = generated(repository, tmp_path, "incast")
    (finding,) = incasts(path)
    assert (finding.severity, finding.subject) == ("warning", "10.0.0.1")
    assert finding.evidence["senders"] == 7
    assert finding.evidence["episodes"] == 3
    assert finding.evidence["bytes"] == pytest.approx(7 * 3 * 131_072, rel=0.02)
    assert finding.evidence["rate_gbps"] == pytest.approx(100, rel=0.1)
    assert finding.evidence["ecn_marked"]
    assert finding.evidence["cnps"]
    assert finding.packets
    assert finding.capture == str(path)


def test_without_marks_a_full_link_is_a_notice(repository: Path, tmp_path: Path) -> None:
    path = generated(repository, tmp_path, "incast", ("ecn_queue_us = 20.0", "ecn_queue_us = 0.0"))
    (finding,) = incasts(path)
    assert finding.severity == "notice"
    assert finding.evidence["senders"] == 7
    assert finding.packets == []


def test_senders_one_after_the_other_are_none(repository: Path, tmp_path: Path) -> None:
    workload = """[[workloads]]
kind = "bulk"
pairs = [[{0}, 0]]
operation = "write"
immediate = true
messages = 1
message_bytes = 131072
start_us = {1}.0
"""
    text = "[network]\nhosts = 8\necn_queue_us = 1.0\n" + "".join(
        workload.format(sender, 300 * sender) for sender in range(1, 8)
    )
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(text, encoding="utf-8")
    generate(str(recipe), str(tmp_path / "made.pcap"))
    assert incasts(tmp_path / "made.pcap") == []


@pytest.mark.parametrize("ecn_queue_us", ["0.0", "1.0", "20.0"])
@pytest.mark.parametrize("hosts", [4, 8, 16])
def test_a_spread_all_to_all_is_none(
    hosts: int, ecn_queue_us: str, repository: Path, tmp_path: Path
) -> None:
    path = generated(
        repository,
        tmp_path,
        "alltoall-spread",
        ("hosts = 8", f"hosts = {hosts}"),
        ("ecn_queue_us = 1.0", f"ecn_queue_us = {ecn_queue_us}"),
    )
    assert incasts(path) == []


@pytest.mark.parametrize(
    "name", ["ring-allreduce", "slow-link", "two-jobs", "pfc-storm", "duplicates"]
)
def test_other_shipped_captures_have_none(name: str, repository: Path) -> None:
    assert incasts(repository / "pcaps" / f"{name}.pcap") == []


def test_real_captures_have_none(captures: Path) -> None:
    real = sorted((captures / "rdma").glob("*.pcap")) + sorted((captures / "nccl").glob("*.pcap"))
    assert len(real) > 5
    for path in real:
        assert incasts(path) == [], path
