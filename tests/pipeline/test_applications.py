from pathlib import Path

import pytest
from examples.analyses import Analyze

from fabricscope.errors import ConfigError
from fabricscope.pipeline.applications import Applications


def test_one_sided_rdma_is_named_without_looking_into_it(
    repository: Path, document_of: Analyze
) -> None:
    flows = document_of(repository / "pcaps/ring-allreduce.pcap")["flows"]
    assert {flow["application"] for flow in flows} == {"roce_v2"}
    assert {flow["application_source"] for flow in flows} == {"payload"}


def test_other_traffic_is_named_by_its_payload(repository: Path, document_of: Analyze) -> None:
    flows = document_of(repository / "pcaps/background.pcap.gz")["flows"]
    assert len(flows) > 1
    for flow in flows:
        assert flow["application"]
        assert flow["application_source"] in (None, "payload", "port", "correlation", "behaviour")


def test_own_signatures_are_checked_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no \*\.toml file"):
        Applications((str(tmp_path),), 65_536)


def test_nothing_seen_means_nothing_counted() -> None:
    applications = Applications((), 65_536)
    assert applications.counters == {}
    assert applications.neighbours() == []
