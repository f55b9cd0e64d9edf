"""`fabricscope availability`: options, table and errors."""

import json

import pytest
from typer.testing import CliRunner

from fabricscope.cli.app import app
from fabricscope.errors import FabricscopeError

SMALL = ["availability", "--gpus", "512", "--months", "20", "--quiet"]


def test_json_has_all_sizes_and_schemes(tmp_path):
    out = tmp_path / "study.json"
    result = CliRunner().invoke(
        app, [*SMALL[:1], "--gpus", "512,1_024", "--months", "20", "-q", "--json", str(out),
              "--set", "nic_timeout=16.8ms", "--set", "dual_homed=true"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    study = json.loads(out.read_text())["availability"]
    assert study["cluster"]["dual_homed"] is True
    assert study["cluster"]["nic_timeout"] == pytest.approx(16.8e6)
    pairs = [(entry["gpus"], entry["recovery"]) for entry in study["results"]]
    assert pairs == [(gpus, name) for gpus in (512, 1024) for name in ("dpfr", "bgp", "none")]


def test_the_table_says_what_dpfr_saves():
    result = CliRunner().invoke(app, ["availability", "--gpus", "512", "--months", "20"])
    assert result.exit_code == 0, result.output
    assert "512 GPUs, a month (mean of 20)" in result.output
    assert "DPFR saves" in result.output
    assert all(len(line) <= 100 for line in result.output.splitlines())


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--gpus", "many"], "is no count"),
        (["--gpus", "1"], "no cluster"),
        (["--recovery", "dpfx"], "did you mean"),
        (["--set", "gpu"], "KEY=VALUE"),
        (["--set", "gpu=lots"], "parameter gpu"),
        (["--interval", "0s"], "above 0"),
        (["--interval", "soon"], "is not understood"),
        (["--json", "/nowhere/out.json"], "no folder"),
        (["--report", "/nowhere/out.html"], "no folder"),
    ],
)
def test_wrong_options_are_one_sentence(options, part):
    result = CliRunner().invoke(app, [*SMALL, *options])
    assert isinstance(result.exception, FabricscopeError)
    assert part in str(result.exception)


def test_a_report_is_one_page(tmp_path):
    out = tmp_path / "study.html"
    result = CliRunner().invoke(app, [*SMALL, "--report", str(out)])
    assert result.exit_code == 0, result.output
    assert out.read_text().startswith("<!doctype html>")
