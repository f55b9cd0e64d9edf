"""Overlap of communication with computation: gradient buckets made here, and real training."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fabricscope.collectors.synthetic import generate
from fabricscope.pipeline.analysis import Options, analyze


def job_of(path: Path) -> dict[str, Any]:
    (job,) = analyze([str(path)], Options(), lambda *_: None).collectives.jobs
    return job


@pytest.mark.parametrize("hosts", [3, 4, 8])
@pytest.mark.parametrize("buckets", [(32_768, 98_304, 49_152), (1 << 20, 1 << 18)])
def test_buckets_of_a_step(
    hosts: int, buckets: tuple[int, ...], repository: Path, tmp_path: Path
) -> None:
    recipe = (repository / "pcaps/recipes/buckets.toml").read_text(encoding="utf-8")
    recipe = recipe.replace("hosts = 4", f"hosts = {hosts}")
    recipe = recipe.replace("[32768, 98304, 49152]", str(list(buckets)))
    path = tmp_path / "buckets.toml"
    path.write_text(recipe, encoding="utf-8")
    truth = generate(str(path), str(tmp_path / "buckets.pcap")).content
    spans = np.array(
        sorted(span for entry in truth["collectives"] for span in entry["iteration_spans"]["tap"])
    )
    steps = spans.reshape(-1, len(buckets), 2)[:-1]
    lengths = steps[:, :, 1] - steps[:, :, 0]
    job = job_of(tmp_path / "buckets.pcap")
    overlap = job["overlap"]
    assert overlap["operations_per_step"] == len(buckets)
    share = np.median(lengths.sum(axis=1)) / 1e6 / job["step_ms"]["p50"]
    assert job["communication_share"] == pytest.approx(share, rel=0.02)
    expected = np.median(lengths.sum(axis=1)) / 1e6
    assert overlap["communication_ms"] == pytest.approx(expected, rel=0.02)
    exposed = np.median(lengths[:, -1]) / 1e6
    assert overlap["exposed_ms"] == pytest.approx(exposed, rel=0.02)
    assert overlap["overlappable_share"] == pytest.approx(1 - exposed / expected, abs=0.02)


def test_one_operation_a_step_is_not_taken_apart(repository: Path) -> None:
    for name in ("ring-allreduce", "slow-link"):
        overlap = job_of(repository / "pcaps" / f"{name}.pcap")["overlap"]
        assert overlap["operations_per_step"] == 1
        assert overlap["overlappable_share"] is None


def test_real_training(captures: Path) -> None:
    folder = captures / "collectives"
    job = job_of(folder / "ddp-training-4r.pcap")
    text = (folder / "ddp-training-4r.truth.jsonl").read_text(encoding="utf-8")
    events = [json.loads(line)["events"] for line in text.splitlines()]
    longest = max(e[2] - e[1] for rank in events for e in rank if e[0] == "step") / 1e6
    assert 0 < job["overlap"]["communication_ms"] < longest
    period = job["overlap"]["communication_ms"] + job["overlap"]["quiet_ms"]
    assert period == pytest.approx(job["step_ms"]["p50"], rel=0.25)
