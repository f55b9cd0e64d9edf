"""Balance over parallel paths: indexes by hand, hashing by chance, and captures split over taps."""

import itertools
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fabricscope.analyzers.balance import (
    balance_findings,
    fairness,
    max_mean_ratio,
    random_hashing,
    spread_of,
)
from fabricscope.collectors.synthetic import generate
from fabricscope.pipeline.analysis import Options, analyze

LINKS = 4
RECIPE = """
[network]
hosts = 8

[capture]
snaplen = 128

[[workloads]]
kind = "alltoall"
algorithm = "direct"
message_bytes = 1048576
iterations = 3
"""


def test_indexes_of_known_loads() -> None:
    assert max_mean_ratio(np.array([1.0, 1.0, 1.0, 1.0])) == 1
    assert max_mean_ratio(np.array([4.0, 0.0, 0.0, 0.0])) == 4
    assert fairness(np.array([2.0, 2.0])) == 1
    assert fairness(np.array([4.0, 0.0, 0.0, 0.0])) == 0.25
    assert fairness(np.array([1.0, 3.0])) == pytest.approx(16 / 20)


@pytest.mark.parametrize(("flows", "expected"), [(8, 2.59), (16, 2.10), (32, 1.76), (64, 1.53)])
def test_random_hashing_over_eight_links(flows: int, expected: float) -> None:
    mean, most = random_hashing(np.ones(flows), 8)
    assert mean == pytest.approx(expected, rel=0.01)
    assert most > mean


@pytest.mark.parametrize(("flows", "links"), [(3, 2), (4, 3), (5, 4)])
def test_random_hashing_is_the_mean_over_all_choices(flows: int, links: int) -> None:
    sizes = np.arange(1.0, flows + 1)
    ratios = [
        max(sum(sizes[k] for k in range(flows) if choice[k] == link) for link in range(links))
        / (sizes.sum() / links)
        for choice in itertools.product(range(links), repeat=flows)
    ]
    assert random_hashing(sizes, links)[0] == pytest.approx(np.mean(ratios), rel=0.02)


def test_random_hashing_of_many_flows_is_that_of_all_drawn() -> None:
    chance = np.random.default_rng(5)
    sizes = chance.exponential(1.0, 1_000)
    loads = np.array(
        [np.bincount(chance.integers(8, size=1_000), sizes, 8).max() for _ in range(2_000)]
    )
    mean, most = random_hashing(sizes, 8)
    assert mean == pytest.approx(loads.mean() / (sizes.sum() / 8), rel=0.01)
    assert most == pytest.approx(np.percentile(loads, 95) / (sizes.sum() / 8), rel=0.02)


def test_spread_counts_what_hashing_can_tell_apart() -> None:
    found = spread_of(["a", "a", "b", "b"], ["b", "b", "a", "c"], [1, 2, 1, 1], [8, 8, 8, 0])
    assert found is not None
    assert (found["flows"], found["source_ports"]) == (3, 2)
    assert found["entropy_bits"] == pytest.approx(math.log2(3), abs=1e-4)
    assert spread_of([], [], [], []) is None


def split(path: Path, folder: Path, choose: Callable[[bytes], int]) -> list[str]:
    """Write a capture's records to a file a link; `choose` takes the first bytes of a frame."""
    data = path.read_bytes()
    magic = struct.unpack_from("<I", data)[0]
    order = "<" if magic in (0xA1B2C3D4, 0xA1B23C4D) else ">"
    parts = [bytearray(data[:24]) for _ in range(LINKS)]
    place = 24
    while place < len(data):
        length = struct.unpack_from(f"{order}I", data, place + 8)[0]
        frame = data[place + 16 : place + 16 + length]
        parts[choose(frame)] += data[place : place + 16 + length]
        place += 16 + length
    names = [folder / f"spine{link}.pcap" for link in range(LINKS)]
    for name, part in zip(names, parts, strict=True):
        name.write_bytes(part)
    return [str(name) for name in names]


def polarised(frame: bytes) -> int:
    """Choose as a switch does whose hash has few values: nine flows of ten take the first path."""
    value = zlib.crc32(frame[26:38])
    return 0 if value % 10 else 1 + value // 10 % (LINKS - 1)


@pytest.fixture(scope="module")
def alltoall(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alltoall")
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    generate(str(folder / "recipe.toml"), str(folder / "whole.pcap"))
    return folder / "whole.pcap"


def paths_of(names: list[str]) -> list[dict[str, Any]]:
    return analyze(names, Options(), lambda *_: None).parallel_paths


def test_uplinks_are_recognised_and_judged_against_chance(alltoall: Path, tmp_path: Path) -> None:
    counter = itertools.count()
    (even,) = paths_of(split(alltoall, tmp_path, lambda _: next(counter) % LINKS))
    assert len(even["taps"]) == LINKS
    assert even["mmr"] < 1.1
    assert even["jfi"] > 0.99
    assert balance_findings([even]) == []


def test_hashing_by_flow_is_no_warning(alltoall: Path, tmp_path: Path) -> None:
    ports: dict[bytes, int] = {}
    chance = np.random.default_rng(3)

    def choose(frame: bytes) -> int:
        return ports.setdefault(frame[26:38], int(chance.integers(LINKS)))

    (found,) = paths_of(split(alltoall, tmp_path, choose))
    assert found["flows"] == 2 * 56  # credits come back on flows of their own
    assert 1 <= found["mmr"] <= found["expected_mmr_p95"]
    assert {finding.severity for finding in balance_findings([found])} <= {"notice"}


def test_polarised_hashing_is_a_warning(alltoall: Path, tmp_path: Path) -> None:
    (found,) = paths_of(split(alltoall, tmp_path, polarised))
    (finding,) = balance_findings([found])
    assert (finding.severity, finding.kind) == ("warning", "unequal_paths")
    assert finding.subject.endswith("spine0.pcap") or finding.subject == "spine0"
    assert finding.evidence["mmr"] > 3


def test_taps_one_behind_the_other_or_of_other_hosts_are_not_parallel(
    alltoall: Path, tmp_path: Path, repository: Path
) -> None:
    copy = tmp_path / "copy.pcap"
    copy.write_bytes(alltoall.read_bytes())
    assert paths_of([str(alltoall), str(copy)]) == []
    # The taps of leaves: each sees all that its own hosts send, and nothing of the others'.
    by_sender = split(alltoall, tmp_path, lambda frame: frame[29] % LINKS)
    assert paths_of(by_sender) == []
    leaves = [str(repository / "pcaps" / f"three-taps.leaf{leaf}.pcap") for leaf in range(3)]
    assert paths_of(leaves) == []
