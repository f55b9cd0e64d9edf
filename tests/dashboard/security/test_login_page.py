"""The login under attack: a thousand tries a minute, from many addresses, with odd forms."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from sites import serving

from fabricscope.dashboard.security.login_page import _inside
from fabricscope.dashboard.security.users import UserFile
from fabricscope.dashboard.site import SiteConfig

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    users = UserFile(Path(tmp_path_factory.mktemp("users")) / "users")
    users.add("ada", "operator", PASSWORD)
    with serving(config=SiteConfig(users=users.path)) as address:
        yield address


def test_a_thousand_tries_are_refused_before_any_hash(address: str) -> None:
    browser = requests.Session()
    page = browser.get(f"{address}/login")
    token = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert token
    form = {"csrf": token[1], "name": "ada"}
    found: Counter[int] = Counter()
    begun = time.monotonic()
    for number in range(1_000):
        answer = browser.post(
            f"{address}/login",
            data=form | {"password": f"guess number {number}"},
            headers={"origin": address},
            allow_redirects=False,
        )
        found[answer.status_code] += 1
        if time.monotonic() - begun > 50:
            break
    assert set(found) == {401, 429}
    assert found[401] <= 5
    assert found[429] >= 100
    assert browser.get(f"{address}/login").status_code == 200


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"csrf=" + b"x" * 9_000, b"&" * 50, b"name"])
def test_odd_forms_are_refused(address: str, body: bytes) -> None:
    answer = requests.post(f"{address}/login", data=body, headers={"origin": address})
    assert answer.status_code == 403
    assert "too old" in answer.text


def test_what_is_typed_comes_back_as_text_only(address: str) -> None:
    page = requests.get(f"{address}/login", params={"next": '/"><script>alert(1)</script>'})
    assert "<script" not in page.text


@pytest.mark.parametrize(
    ("to", "expected"),
    [("/links?range=1h", "/links?range=1h"), ("//x", "/"), ("http://x", "/"), ("/\\x", "/"),
     ("", "/"), ("/login?next=/", "/"), ("/\n", "/"), ("http://[", "/")],
)  # fmt: skip
def test_only_this_sites_paths_are_gone_to(to: str, expected: str) -> None:
    assert _inside(to) == expected
