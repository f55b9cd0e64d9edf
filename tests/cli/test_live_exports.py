"""`--metrics` and `--otel` of a real run."""

import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from examples.program import Program
from servers import free_port


def command(repository: Path, *more: str) -> list[str]:
    capture = repository / "pcaps" / "slow-link.pcap"
    return [sys.executable, "-m", "fabricscope", "replay", str(capture), *more]


def test_a_replay_is_scraped(repository: Path, environment: dict[str, str]) -> None:
    url = f"127.0.0.1:{free_port()}"
    options = ["--loops", "0", "--duration", "60", "--quiet", "--metrics", url]
    with subprocess.Popen(command(repository, *options), env=environment) as running:
        try:
            text = ""
            end = time.monotonic() + 120
            while "rdma_packets_total{" not in text and time.monotonic() < end:
                time.sleep(0.2)
                try:
                    text = (
                        urllib.request.urlopen(f"http://{url}/metrics", timeout=5).read().decode()
                    )
                except OSError:
                    assert running.poll() is None
        finally:
            running.terminate()
    assert 'rdma_packets_total{dst="10.0.0.' in text
    assert "fabricscope_link_health_score{" in text


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--metrics", "nowhere", "write HOST:PORT"),
        ("--otel", "nowhere", "write a URL"),
        ("--rules", "none.toml", "none.toml"),
    ],
)
def test_mistakes_are_one_sentence(
    repository: Path, program: Program, option: str, value: str, message: str
) -> None:
    done = program("replay", repository / "pcaps" / "slow-link.pcap", option, value)
    assert done.status == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
