"""`fabricscope generate`: the files it names, the settings it takes, what it refuses."""

import json
from pathlib import Path

import pytest

from fabricscope.cli.generate import run
from fabricscope.errors import ConfigError, RecipeError


def test_every_file_is_named_with_what_is_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("three-taps", str(tmp_path / "out.pcap"), None, [], quiet=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        str(tmp_path / name)
        for name in ("out.leaf0.pcap", "out.leaf1.pcap", "out.leaf2.pcap", "out.truth.json")
    ]
    assert lines[0].endswith("945 packets, 820 data, 124 ack, 1 nak")
    assert all(Path(line.split(": ")[0]).is_file() for line in lines)


def test_settings_change_the_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.pcap"
    settings = [
        "network.ip_version=6",
        "encapsulation.kind=erspan2+vxlan",
        "workloads.0.messages=5",
    ]
    run("rnr", str(out), 7, settings, quiet=True)
    truth = json.loads((tmp_path / "out.truth.json").read_text())
    assert truth["seed"] == 7
    assert ":" in truth["hosts"][0]
    assert truth["encapsulation"] == ["erspan2", "vxlan"]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("setting", ["network.hosts", "=4", ""])
def test_a_setting_without_key_or_value_is_refused(tmp_path: Path, setting: str) -> None:
    with pytest.raises(ConfigError, match="is not KEY=VALUE"):
        run("rnr", str(tmp_path / "out.pcap"), None, [setting], quiet=True)


def test_a_wrong_value_names_the_key(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"network\.ip_version is wrong"):
        run("rnr", str(tmp_path / "out.pcap"), None, ["network.ip_version=5"], quiet=True)


def test_an_unknown_recipe_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="ring-allreduce"):
        run("no-such-recipe", str(tmp_path / "out.pcap"), None, [], quiet=True)


def test_a_missing_folder_is_named_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no folder"):
        run("load", str(tmp_path / "nowhere" / "out.pcap"), None, [], quiet=True)
