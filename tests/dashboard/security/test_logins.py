"""Who is logged in, and what ends it."""

from pathlib import Path

import pytest

from fabricscope.dashboard.security.logins import LIFETIME_S, Logins
from fabricscope.dashboard.security.users import UserFile

PASSWORD = "correct horse battery"


@pytest.fixture
def users(tmp_path: Path) -> UserFile:
    users = UserFile(tmp_path / "users")
    users.add("ada", "operator", PASSWORD)
    return users


def test_a_token_names_its_user(users: UserFile) -> None:
    logins = Logins(users)
    token = logins.begin(users.users()["ada"])
    visitor = logins.find(token)
    assert visitor is not None
    assert (visitor.name, visitor.role) == ("ada", "operator")
    assert logins.find("") is None
    assert logins.find(token[:-1]) is None


def test_logins_outlive_the_server_and_the_file_holds_no_token(users: UserFile) -> None:
    token = Logins(users).begin(users.users()["ada"])
    assert Logins(users).find(token) is not None
    assert token not in users.path.with_name("users.logins").read_text()


def test_logging_out_ends_it_for_good(users: UserFile) -> None:
    logins = Logins(users)
    token = logins.begin(users.users()["ada"])
    logins.end(token)
    assert logins.find(token) is None
    assert Logins(users).find(token) is None


def test_another_password_or_removal_ends_it(users: UserFile) -> None:
    logins = Logins(users)
    token = logins.begin(users.users()["ada"])
    users.add("ada", "operator", "another password")
    assert logins.find(token) is None
    token = logins.begin(users.users()["ada"])
    users.remove("ada")
    assert logins.find(token) is None


def test_it_ends_after_half_a_day(users: UserFile) -> None:
    now = [1_000.0]
    logins = Logins(users, lambda: now[0])
    token = logins.begin(users.users()["ada"])
    now[0] += LIFETIME_S - 1
    assert logins.find(token) is not None
    now[0] += 1
    assert logins.find(token) is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', '{"a": {"name": 1}}'])
def test_a_broken_file_holds_no_logins(users: UserFile, text: str) -> None:
    users.path.with_name("users.logins").write_text(text)
    assert Logins(users).find("x") is None
