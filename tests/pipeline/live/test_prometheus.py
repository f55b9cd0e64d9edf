"""The endpoint, asked over HTTP and checked by Prometheus's own tool where it is installed."""

import shutil
import socket
import subprocess
import urllib.request

import pytest
from live_rows import SECOND_NS, T0, frame

from fabricscope.errors import ConfigError
from fabricscope.pipeline.live.metrics import MetricValues
from fabricscope.pipeline.live.prometheus import PrometheusEndpoint, parse_address
from fabricscope.pipeline.live.session import Second

NASTY = 'eth"0\\\n} 1\n# HELP x'


def filled() -> MetricValues:
    values = MetricValues("here")
    tables = {
        "link_samples": frame("link_samples", 0, {"score": 90.0, "rate_gbps": 100.0}),
        "rdma_samples": frame("rdma_samples", 0, {"ack_rtt_p50": 3.0, "ack_rtt_max": 4.5}),
        "tap_samples": frame("tap_samples", 0, {"tap": NASTY, "dropped": 3}),
        "iterations": frame("iterations", 0, {"end_ns": T0 + 10**8, "busbw_gbps": 8.0}),
        "application_samples": frame("application_samples", 0, {"application": "gloo"}),
    }
    values.listen(Second(T0, T0 + SECOND_NS, tables, None))  # type: ignore[arg-type]
    return values


def scrape(values: MetricValues) -> str:
    with PrometheusEndpoint("127.0.0.1:0", values) as endpoint:
        text: str = urllib.request.urlopen(endpoint.url, timeout=5).read().decode()
        return text


def test_metrics_are_there() -> None:
    lines = scrape(filled()).splitlines()
    link = 'direction="up",link="leaf1-spine1",source="mirror"'
    for line in (
        f"fabricscope_link_packets_total{{{link}}} 1000.0",
        f"fabricscope_link_health_score{{{link}}} 90.0",
        'rdma_ack_rtt_seconds{dst="10.0.0.2",src="10.0.0.1",statistic="max"} 4.5e-06',
        'fabricscope_application_packets_total{application="gloo",behaviour=""} 1000.0',
        'fabricscope_samples_left_out_total{table="link_samples"} 0.0',
    ):
        assert line in lines, line
    assert any(line.startswith('fabricscope_build_info{collector="here"') for line in lines)
    assert any(line.startswith("process_cpu_seconds_total") for line in lines)
    assert sum("dropped_packets_total{" in line for line in lines) == 1


@pytest.mark.server
def test_prometheus_has_nothing_to_complain_about() -> None:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("needs promtool (Debian package prometheus)")
    text = scrape(filled())
    result = subprocess.run(
        [tool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    complaints = [
        line for line in (result.stdout + result.stderr).splitlines() if "process_" not in line
    ]
    assert complaints == []


def test_addresses() -> None:
    assert parse_address("9464") == ("127.0.0.1", 9464)
    assert parse_address(":9464") == ("127.0.0.1", 9464)
    assert parse_address("0.0.0.0:9464") == ("0.0.0.0", 9464)
    assert parse_address("[::1]:9464") == ("::1", 9464)
    for text in ("", "host", "host:port", "host:70000"):
        with pytest.raises(ConfigError, match="write HOST:PORT"):
            parse_address(text)


def test_a_port_in_use_is_said_in_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(ConfigError, match="Address already in use; take another port"),
            PrometheusEndpoint(address, filled()),
        ):
            pass
    with (
        pytest.raises(ConfigError, match="take another port or an address of this host"),
        PrometheusEndpoint("198.51.100.7:9464", filled()),
    ):
        pass
