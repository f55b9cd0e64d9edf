"""schemathesis scans every HTTP route: as this host sees the site, and with users.

The routes are read from the server itself and written down as OpenAPI; the scanner then sends what
fits and what does not. With users it goes in as an operator, and then without a login.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from sites import serving

from fabricscope.dashboard.app import create_app
from fabricscope.dashboard.security.users import UserFile
from fabricscope.dashboard.site import NoStore, SiteConfig

pytestmark = pytest.mark.slow
NAME, PASSWORD = "ada", "correct horse battery"
EXAMPLES = 40
CHECKS = "not_a_server_error,allow_header_conformance"
OPEN = ("/login", "/logout")
TEXT = {"type": "string"}
FORM = dict.fromkeys(("name", "password", "csrf", "next"), TEXT)
CALLBACK: dict[str, Any] = {
    "output": TEXT, "outputs": {}, "inputs": {"type": "array"}, "state": {"type": "array"},
    "changedPropIds": {"type": "array"},
}  # fmt: skip
BODIES: dict[str, dict[str, Any]] = {
    "/login": {"application/x-www-form-urlencoded": {"type": "object", "properties": FORM}},
    "/_dash-update-component": {"application/json": {"type": "object", "properties": CALLBACK}},
}
ANY_BODY = {"application/octet-stream": {"type": "string", "format": "binary"}}


def operation(path: str, method: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "responses": {"default": {"description": "any"}},
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": TEXT}
            for name in re.findall(r"{(\w+)}", path)
        ],
    }
    if method in ("POST", "PUT", "PATCH"):
        kinds = BODIES.get(path, ANY_BODY).items()
        described["requestBody"] = {"content": {kind: {"schema": one} for kind, one in kinds}}
    return described


def describe(config: SiteConfig) -> dict[str, Any]:
    """Return the site's routes as an OpenAPI document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in create_app(NoStore(), None, config).server.routes:
        path = re.sub(r":\w+}", "}", str(getattr(route, "path", "")))
        for method in set(getattr(route, "methods", None) or ()) - {"HEAD"}:
            paths.setdefault(path, {})[method.lower()] = operation(path, method)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Fabricscope", "version": "1"},
        "paths": paths,
    }


def log_in(address: str, session: requests.Session) -> None:
    session.get(f"{address}/login")
    form = {"name": NAME, "password": PASSWORD, "csrf": session.cookies["_csrf_token"]}
    answer = session.post(
        f"{address}/login", data=form, headers={"origin": address}, allow_redirects=False
    )
    assert answer.status_code == 303


@pytest.mark.parametrize(("users", "login"), [(False, False), (True, True), (True, False)])
def test_a_scanner_finds_nothing(users: bool, login: bool, tmp_path: Path) -> None:
    file = UserFile(tmp_path / "users")
    if users:
        file.add(NAME, "operator", PASSWORD)
    config = SiteConfig(users=file.path if users else None)
    document = describe(config)
    assert len(document["paths"]) >= 8
    (tmp_path / "routes.json").write_text(json.dumps(document), encoding="utf-8")
    with serving(config=config) as address, requests.Session() as session:
        session.get(address)
        if login:
            log_in(address, session)
        cookies = "; ".join(f"{one.name}={one.value}" for one in session.cookies)
        headers = {"Origin": address, "Cookie": cookies,
                   "X-CSRFToken": session.cookies.get("_csrf_token", "")}  # fmt: skip
        answer = requests.get(f"{address}/_dash-layout", headers=headers, timeout=30)
        assert answer.ok == (login or not users)
        command = [
            str(Path(sys.executable).with_name("schemathesis")), "run", "routes.json",
            "--url", address, "--checks", CHECKS, "--max-examples", str(EXAMPLES),
            "--continue-on-failure",
        ]  # fmt: skip
        for name, value in headers.items():
            command += ["--header", f"{name}: {value}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-6_000:]


def test_without_a_login_no_route_but_the_login_answers(tmp_path: Path) -> None:
    file = UserFile(tmp_path / "users")
    file.add(NAME, "operator", PASSWORD)
    config = SiteConfig(users=file.path)
    with serving(config=config) as address:
        for path, methods in describe(config)["paths"].items():
            for method in methods:
                answer = requests.request(
                    method, address + re.sub(r"{\w+}", "x", path), timeout=30,
                    allow_redirects=False,
                )  # fmt: skip
                known = path in OPEN and method == "get"
                assert known or answer.status_code in (303, 401, 403), (method, path)
