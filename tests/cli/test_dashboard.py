"""`fabricscope dashboard`: what it refuses, before anything listens."""

from pathlib import Path

import pytest

from fabricscope.cli import dashboard
from fabricscope.cli.dashboard import DashboardRequest, run
from fabricscope.dashboard.security.users import UserFile
from fabricscope.errors import ConfigError


@pytest.fixture(autouse=True)
def _no_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_others_are_let_in_only_with_users(host: str) -> None:
    with pytest.raises(ConfigError, match="there are no users; make one with `fabricscope user"):
        run(DashboardRequest(host=host))


def test_named_users_have_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no users"):
        run(DashboardRequest(users=str(tmp_path / "none")))


def test_a_certificate_needs_its_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="go together"):
        run(DashboardRequest(certificate="site.pem"))
    with pytest.raises(ConfigError, match="is no file"):
        run(DashboardRequest(certificate="site.pem", key="site.key"))


def test_places_that_are_not_there_are_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ConfigError, match="is a file; give the directory"):
        run(DashboardRequest(store=str(file)))
    with pytest.raises(ConfigError, match="is no directory"):
        run(DashboardRequest(captures=str(file)))


def test_with_users_it_listens_and_warns_of_passwords_in_the_clear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    UserFile(tmp_path / "fabricscope" / "users").add("ada", "viewer", "correct horse battery")
    served = []
    monkeypatch.setattr(
        dashboard, "serve", lambda app, address, announce: served.append(address.url)
    )
    run(DashboardRequest(host="0.0.0.0", port=8099))
    assert served == ["http://0.0.0.0:8099"]
    assert "Passwords travel in the clear" in capsys.readouterr().err
