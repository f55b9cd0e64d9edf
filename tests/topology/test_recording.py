"""Captures of simulated runs: the failed links by default, and bounds."""

from pathlib import Path
from typing import Any

import pytest

from fabricscope.errors import ConfigError, FabricError
from fabricscope.pipeline.analysis import Options, analyze
from fabricscope.pipeline.document import build_document
from fabricscope.topology import recording
from fabricscope.topology.experiment import Experiment, prepare
from fabricscope.topology.scenario_file import Source, build_scenario


def experiment_of(**keys: Any) -> Experiment:
    case = {
        "fabric": "leaf-spine:2x2x2@100G", "workload": "alltoall:1MiB", "recovery": ["dpfr"],
        "failures": ["leaf1-spine1@20us"], "nic": {"dcqcn": False, "timeout": 4}, **keys,
    }  # fmt: skip
    source = Source("case.toml")
    return prepare(build_scenario(case, source), source)


def test_the_failed_link_is_mirrored_and_analyze_reads_it_back(tmp_path: Path) -> None:
    path = tmp_path / "out.pcapng"
    found = recording.record(experiment_of(taps=["host0-leaf0"]), str(path))
    assert found["taps"] == 2
    document = build_document(analyze([str(path)], Options(), lambda *_: None))
    assert document["capture"]["packets"] == found["packets"] > 0
    assert document["protocols"]["roce_v2"] == found["packets"]
    assert recording.record(experiment_of(), str(path))["taps"] == 2


def test_what_cannot_be_recorded_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FabricError, match="name a link with --tap"):
        recording.record(experiment_of(failures=[]), str(tmp_path / "x.pcapng"))
    with pytest.raises(ConfigError, match="cannot be written: No such file"):
        recording.record(experiment_of(), str(tmp_path / "none" / "x.pcapng"))
    monkeypatch.setattr(recording, "MOST_PACKETS", 10)
    with pytest.raises(FabricError, match="more than 10; shorten it"):
        recording.record(experiment_of(), str(tmp_path / "x.pcapng"))
