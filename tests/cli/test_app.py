"""What the program loads before it does anything: time to start is time to wait."""

import subprocess
import sys

import pytest

HEAVY = ("numba", "numpy", "polars", "plotly", "scapy", "pyshark", "rich", "dash", "networkx")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["--help"],
        [],
        ["analyze", "--help"],
        ["dissect", "--help"],
        ["generate", "--help"],
        ["analyze"],
        ["analyze", "x", "--jobs", "-1"],
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_loaded_to_answer_at_once(
    environment: dict[str, str], arguments: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "fabricscope", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "fabricscope.cli.app" in loaded
    assert not loaded & set(HEAVY)
    assert "Traceback" not in done.stderr
