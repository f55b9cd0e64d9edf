"""What stands before the site, tried from outside: a real server, real requests."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from sites import serving
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from fabricscope.dashboard.security.guard import read_cookies
from fabricscope.dashboard.security.users import UserFile
from fabricscope.dashboard.site import SiteConfig

PASSWORD = "correct horse battery"
SOCKET = "/_dash-ws-callback"
HTML = {"accept": "text/html"}


@pytest.fixture(scope="module")
def open_site() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture
def users(tmp_path: Path) -> UserFile:
    users = UserFile(tmp_path / "users")
    users.add("ada", "operator", PASSWORD)
    users.add("eve", "viewer", PASSWORD)
    return users


@pytest.fixture
def closed_site(users: UserFile) -> Iterator[str]:
    with serving(config=SiteConfig(users=users.path)) as address:
        yield address


def _log_in(
    address: str, name: str = "ada", password: str = PASSWORD, to: str = "/"
) -> requests.Session:
    browser = requests.Session()
    page = browser.get(f"{address}/login", params={"next": to})
    token = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert token
    answer = browser.post(
        f"{address}/login",
        data={"csrf": token[1], "name": name, "password": password, "next": to},
        headers={"origin": address},
        allow_redirects=False,
    )
    return browser, answer


def test_every_answer_carries_the_headers(open_site: str) -> None:
    for path in ("/", "/assets/site.css", "/nowhere", "/_dash-layout"):
        answer = requests.get(open_site + path)
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self' 'sha256-" in policy
        assert "unsafe-eval" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert requests.get(open_site).headers["cache-control"] == "no-store"


def test_nothing_describes_the_routes_to_strangers(open_site: str) -> None:
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert "swagger" not in requests.get(open_site + path).text.lower()


def test_another_name_for_this_host_is_refused(open_site: str) -> None:
    answer = requests.get(open_site, headers={"host": "evil.example"})
    assert answer.status_code == 403
    port = open_site.rpartition(":")[2]
    assert requests.get(open_site, headers={"host": f"localhost:{port}"}).status_code == 200


def test_a_post_from_another_site_is_refused(open_site: str) -> None:
    browser = requests.Session()
    browser.get(open_site)
    token = browser.cookies["_csrf_token"]
    good = {"origin": open_site, "x-csrftoken": token}
    post = f"{open_site}/_dash-update-component"
    for change in ({"origin": "http://evil.example"}, {"origin": ""}, {"x-csrftoken": "x"}):
        assert browser.post(post, json={}, headers=good | change).status_code == 403
    assert browser.post(post, json={}, headers=good).status_code != 403


def test_a_body_beyond_the_limit_is_refused(open_site: str) -> None:
    browser = requests.Session()
    browser.get(open_site)
    headers = {"origin": open_site, "x-csrftoken": browser.cookies["_csrf_token"]}
    big = b"x" * (5 << 20)
    answer = browser.post(f"{open_site}/_dash-update-component", data=big, headers=headers)
    assert answer.status_code == 413

    def parts() -> Iterator[bytes]:
        yield from (b"x" * (1 << 20) for _ in range(6))

    try:
        answer = browser.post(f"{open_site}/_dash-update-component", data=parts(), headers=headers)
    except requests.ConnectionError:
        return
    assert answer.status_code >= 400


def test_a_socket_opens_for_this_site_only(open_site: str) -> None:
    address = open_site.replace("http", "ws") + SOCKET
    with connect(address, origin=open_site) as socket:  # type: ignore[arg-type]
        socket.send(json.dumps({"type": "heartbeat"}))
        assert "heartbeat_ack" in str(socket.recv(5))
    for origin in ("http://evil.example", open_site.replace("http", "https"), None):
        with pytest.raises(InvalidStatus), connect(address, origin=origin):  # type: ignore[arg-type]
            pass


def test_who_is_not_logged_in_sees_the_login_and_nothing_else(closed_site: str) -> None:
    answer = requests.get(f"{closed_site}/links?range=1h", headers=HTML, allow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Flinks%3Frange%3D1h"
    for path in ("/_dash-layout", "/_dash-dependencies", "/assets/site.css", "/upload"):
        assert requests.get(closed_site + path).status_code == 401
    socket = closed_site.replace("http", "ws") + SOCKET
    with pytest.raises(InvalidStatus), connect(socket, origin=closed_site):  # type: ignore[arg-type]
        pass
    page = requests.get(f"{closed_site}/login")
    assert page.status_code == 200
    assert "<script" not in page.text


def test_a_login_leads_to_where_one_wanted_to_go(closed_site: str) -> None:
    browser, answer = _log_in(closed_site, to="/links?range=1h")
    assert answer.headers["location"] == "/links?range=1h"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert browser.get(f"{closed_site}/_dash-layout").status_code == 200


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:1", "/login"]
)
def test_a_login_leads_nowhere_else(closed_site: str, to: str) -> None:
    assert _log_in(closed_site, to=to)[1].headers["location"] == "/"


def test_a_login_without_its_token_is_refused(closed_site: str) -> None:
    form = {"name": "ada", "password": PASSWORD, "csrf": "x"}
    answer = requests.post(f"{closed_site}/login", data=form, headers={"origin": closed_site})
    assert answer.status_code == 403


def test_wrong_passwords_are_told_nothing_and_soon_have_to_wait(closed_site: str) -> None:
    wrong = _log_in(closed_site, password="wrong password")[1]
    unknown = _log_in(closed_site, name="nobody", password="wrong password")[1]
    assert wrong.status_code == unknown.status_code == 401
    assert "do not fit" in wrong.text
    for _ in range(4):
        last = _log_in(closed_site, password="wrong password")[1]
    assert last.status_code == 429
    assert int(last.headers["retry-after"]) <= 60
    right = _log_in(closed_site)[1]
    assert right.status_code == 429


def test_logging_out_hangs_up(closed_site: str, users: UserFile) -> None:
    browser, _ = _log_in(closed_site)
    cookie = "; ".join(f"{one.name}={one.value}" for one in browser.cookies)
    address = closed_site.replace("http", "ws") + SOCKET
    with connect(
        address,
        origin=closed_site,  # type: ignore[arg-type]
        additional_headers={"cookie": cookie},
    ) as socket:
        socket.send(json.dumps({"type": "heartbeat"}))
        assert "heartbeat_ack" in str(socket.recv(5))
        headers = {"origin": closed_site, "x-csrftoken": browser.cookies["_csrf_token"]}
        assert browser.post(f"{closed_site}/logout", headers=headers).status_code == 204
        socket.send(json.dumps({"type": "heartbeat"}))
        with pytest.raises(ConnectionClosed):
            socket.recv(5)


def test_cookies_that_make_no_sense_are_none() -> None:
    assert read_cookies({"headers": [(b"cookie", b"a=1; b=\xff; =; c")]}).get("c") is None
    assert read_cookies({"headers": []}) == {}
