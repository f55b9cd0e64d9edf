"""Files that commands write are checked before the work."""

import json
from pathlib import Path

import pytest

from fabricscope.cli.outputs import check_output, same_file, write_json
from fabricscope.errors import ConfigError


def test_impossible_outputs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        check_output("--json", str(tmp_path), [])
    with pytest.raises(ConfigError, match="there is no folder"):
        check_output("--json", str(tmp_path / "none" / "x"), [])
    read = tmp_path / "scenario.toml"
    read.touch()
    with pytest.raises(ConfigError, match="would overwrite the scenario"):
        check_output("--json", str(read), [str(read)], "scenario")
    check_output("--json", str(tmp_path / "new.json"), [str(read)])


def test_links_lead_to_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert same_file(str(tmp_path / "a"), str(tmp_path / "b"))
    assert not same_file("", "")


def test_json_goes_to_a_file_or_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_json({"a": 1}, str(tmp_path / "a.json"))
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}
    write_json({"a": 1}, "-")
    assert capsys.readouterr().out == '{"a":1}\n'
