"""The file of users: who is in it, whose password fits, what it refuses."""

import stat
from pathlib import Path

import pytest

from fabricscope.dashboard.security.users import UserFile, default_users_path
from fabricscope.errors import ConfigError

PASSWORD = "correct horse battery"


@pytest.fixture
def users(tmp_path: Path) -> UserFile:
    return UserFile(tmp_path / "config" / "users")


def test_a_user_is_known_by_the_password(users: UserFile) -> None:
    assert users.users() == {}
    assert users.add("ada", "operator", PASSWORD)
    found = users.verify("ada", PASSWORD)
    assert found is not None
    assert found.role == "operator"
    assert users.verify("ada", PASSWORD + "x") is None
    assert users.verify("eve", PASSWORD) is None


def test_the_file_holds_no_password_and_is_the_owners_alone(users: UserFile) -> None:
    users.add("ada", "viewer", PASSWORD)
    text = users.path.read_text()
    assert text.startswith("ada:viewer:$argon2id$")
    assert PASSWORD not in text
    assert stat.S_IMODE(users.path.stat().st_mode) == 0o600


def test_adding_again_changes_password_and_role(users: UserFile) -> None:
    users.add("ada", "viewer", PASSWORD)
    assert not users.add("ada", "operator", "another password")
    assert users.verify("ada", PASSWORD) is None
    assert len(users.users()) == 1


def test_another_process_sees_changes(users: UserFile) -> None:
    other = UserFile(users.path)
    assert other.users() == {}
    users.add("ada", "viewer", PASSWORD)
    assert list(other.users()) == ["ada"]
    users.remove("ada")
    assert other.users() == {}


def test_removing_nobody_is_refused(users: UserFile) -> None:
    with pytest.raises(ConfigError, match="has no user 'ada'"):
        users.remove("ada")


@pytest.mark.parametrize("name", ["", "a:b", "a\nb", "-x", "x" * 65, "ä", "<b>"])
def test_names_that_would_break_the_file_are_refused(users: UserFile, name: str) -> None:
    with pytest.raises(ConfigError, match="no user name"):
        users.add(name, "viewer", PASSWORD)


def test_short_passwords_and_unknown_roles_are_refused(users: UserFile) -> None:
    with pytest.raises(ConfigError, match="use 10 to"):
        users.add("ada", "viewer", "short")
    with pytest.raises(ConfigError, match="no role"):
        users.add("ada", "root", PASSWORD)


@pytest.mark.parametrize(
    "text", ["ada\n", "ada:viewer:plain\n", "ada:root:$argon2id$x\n", "\udcff"]
)
def test_a_file_that_makes_no_sense_is_refused(users: UserFile, text: str) -> None:
    users.path.parent.mkdir()
    users.path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match="users file"):
        users.users()


def test_the_default_place_follows_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert default_users_path() == tmp_path / "fabricscope" / "users"
