"""An automated scan of every route: whatever is sent, no server error, and always the headers."""

import contextlib
import json
from collections.abc import Iterator

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sites import serving
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

PATHS = [
    "/", "/links", "/login", "/logout", "/upload", "/assets/site.css", "/assets/../app.py",
    "/_dash-layout", "/_dash-dependencies", "/_dash-update-component", "/_favicon.ico",
    "/_dash-component-suites/dash/dcc/x.js", "/_dash-component-suites/../../etc/passwd",
    "/_reload-hash", "/docs", "/openapi.json", "/%2e%2e/%2e%2e/etc/passwd", "/\u202e",
]  # fmt: skip
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
PAYLOADS = st.fixed_dictionaries(
    {},
    optional={
        "output": st.sampled_from(["tick.data", "content.children", "", "..a.b...c.d.."]) | JSON,
        "outputs": JSON, "inputs": JSON, "state": JSON, "changedPropIds": JSON,
    },
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[tuple[str, requests.Session]]:
    with serving() as address:
        session = requests.Session()
        session.get(address)
        headers = {"origin": address, "x-csrftoken": session.cookies["_csrf_token"]}
        session.headers.update(headers)
        yield address, session


def _check(answer: requests.Response) -> None:
    assert answer.status_code < 500, (answer.request.method, answer.url, answer.text[:300])
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "root:" not in answer.text
    assert "Traceback" not in answer.text


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    method=st.sampled_from(METHODS),
    path=st.sampled_from(PATHS) | st.text(max_size=30).map(lambda text: "/" + text),
    query=st.dictionaries(st.text(max_size=8), st.text(max_size=40), max_size=3),
    body=st.binary(max_size=200),
)
def test_no_request_is_too_odd(
    browser: tuple[str, requests.Session],
    method: str,
    path: str,
    query: dict[str, str],
    body: bytes,
) -> None:
    address, session = browser
    _check(session.request(method, address + path, params=query, data=body, allow_redirects=False))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(payload=PAYLOADS | JSON)
def test_no_callback_is_too_odd(browser: tuple[str, requests.Session], payload: object) -> None:
    address, session = browser
    _check(session.post(f"{address}/_dash-update-component", json=payload))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(message=JSON | st.fixed_dictionaries(
    {"type": st.sampled_from(["callback_request", "get_props_response", "heartbeat", "x"])},
    optional={"requestId": JSON, "rendererId": JSON, "payload": PAYLOADS | JSON},
))  # fmt: skip
def test_no_message_on_the_socket_brings_the_site_down(
    browser: tuple[str, requests.Session], message: object
) -> None:
    address, session = browser
    url = address.replace("http", "ws") + "/_dash-ws-callback"
    with connect(url, origin=address) as socket:  # type: ignore[arg-type]
        socket.send(json.dumps(message))
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            socket.recv(0.05)
    assert session.get(f"{address}/_dash-layout").ok
