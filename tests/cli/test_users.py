"""`fabricscope user`: add, list and remove, by commands."""

import io
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fabricscope.cli import users
from fabricscope.cli.app import app
from fabricscope.errors import ConfigError

PASSWORD = "correct horse battery\n"


def _run(*arguments: str, given: str = "") -> str:
    result = CliRunner().invoke(app, ["user", *arguments], input=given, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_a_user_comes_and_goes(tmp_path: Path) -> None:
    file = f"--users={tmp_path / 'users'}"
    assert "There are no users" in _run("list", file)
    assert "now a user, as operator" in _run("add", "ada", "--role=operator", file, given=PASSWORD)
    assert "still a user, as viewer" in _run("add", "ada", file, given=PASSWORD)
    assert _run("list", file).split() == ["ada", "viewer"]
    assert "no longer" in _run("remove", "ada", file)
    assert "There are no users" in _run("list", file)


def test_passwords_typed_differently_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    typed = iter(("correct horse battery", "something else"))
    monkeypatch.setattr("getpass.getpass", lambda _: next(typed))
    with pytest.raises(ConfigError, match="the two passwords differ"):
        users.add("ada", "viewer", str(tmp_path / "users"))
    assert not (tmp_path / "users").exists()
