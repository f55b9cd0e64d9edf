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


@pytest.mark.parametrize(
    "name",
    [
        "ddp-training-4r",
        "gloo-allreduce-4r-4MiB",
        "gloo-mixed-4r-1MiB",
        "gloo-slowlink-4r-2MiB",
        "gloo-straggler-4r-2MiB",
    ],
)
def test_all_connections_that_the_store_announced_are_gloo(
    name: str, captures: Path, document_of: Analyze
) -> None:
    path = captures / "collectives" / f"{name}.pcap"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    flows = [flow for flow in document_of(path)["flows"] if flow["protocol"] == "tcp"]
    named = {(flow["application"], flow["application_source"]) for flow in flows}
    assert ("gloo", "correlation") in named
    assert "unknown" not in {application for application, _ in named}
    ports = {port for flow in flows for port in (flow["src_port"], flow["dst_port"])}
    assert 29_500 in ports
    for flow in flows:
        if flow["application"] != "gloo" and 29_500 not in (flow["src_port"], flow["dst_port"]):
            assert flow["application"] == "http", flow
