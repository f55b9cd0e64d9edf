"""What stands before the site: every request and socket passes here first, whatever it asks for.

Hosts and origins that are not this site's are refused, bodies are bounded, whoever is not logged in
is sent to the login, and every answer gets its headers.
"""

import hmac
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import quote, urlsplit

from fabricscope.dashboard.security.headers import build_headers
from fabricscope.dashboard.security.logins import Logins
from fabricscope.dashboard.security.roles import LOCAL, Visitor, enter, leave

__all__ = ["CSRF_COOKIE", "CSRF_HEADER", "LOGIN_PATH", "Guard", "Rules", "read_cookies"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOGIN_PATH: Final = "/login"
CSRF_COOKIE: Final = "_csrf_token"
CSRF_HEADER: Final = "x-csrftoken"
BODY_LIMIT: Final = 4 << 20
"""Bytes of a request; uploads have a limit of their own."""
_SAFE: Final = ("GET", "HEAD", "OPTIONS")
_LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "::1")
_POLICY_VIOLATION: Final = 1008
_CALLBACKS: Final = "/_dash-"
"""Paths that Dash answers with 500 when it cannot read what was sent; errors of callbacks have an
answer of their own, so that whoever sent it is to blame."""
_SERVER_ERROR: Final = 500
_BAD_REQUEST: Final = 400
_PRIVATE: Final = (b"text/html", b"application/json")
"""What answers about the fabric come as; files of the site itself may be kept by browsers."""


@dataclass(frozen=True)
class Rules:
    """What the guard holds everybody to.

    logins: None where nobody has to log in, and so only this host may ask; policy: the
    Content-Security-Policy; uploads: bytes of a body by path.
    """

    logins: Logins | None
    policy: str
    tls: bool = False
    uploads: dict[str, int] = field(default_factory=dict)

    @property
    def cookie(self) -> str:
        """Return the name of the login's cookie; browsers hold `__Host-` ones to this host."""
        return "__Host-fabricscope" if self.tls else "fabricscope"


class Guard:
    """An ASGI application around another."""

    def __init__(self, app: App, rules: Rules) -> None:
        """Guard `app`."""
        self._app = app
        self._rules = rules
        self._headers = build_headers(rules.policy, tls=rules.tls)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == "http":
            await self._guard_request(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._guard_socket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _guard_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        cookies = read_cookies(scope)
        token = cookies.get(CSRF_COOKIE, "")
        fresh = "" if token else secrets.token_urlsafe(24)
        guarded = self._with_headers(scope, send, fresh)
        scope.setdefault("state", {})["csrf"] = token or fresh
        refusal = self._refuse(scope, token)
        if refusal:
            await _answer(guarded, 403, refusal)
            return
        visitor = self._visitor(cookies)
        path = scope["path"]
        if visitor is None and path != LOGIN_PATH:
            if scope["method"] == "GET" and "text/html" in _header(scope, "accept"):
                asked = path + (
                    f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
                )
                to = f"{LOGIN_PATH}?next={quote(asked, safe='')}"
                await _answer(guarded, 303, "Log in first.", [(b"location", to.encode())])
            else:
                await _answer(guarded, 401, "Log in first.")
            return
        limit = self._rules.uploads.get(path, BODY_LIMIT)
        bounded = _Bounded(receive, limit)
        if bounded.declares_too_much(scope):
            await _answer(guarded, 413, f"A body here may have {limit:,} bytes at most.")
            return
        entered = enter(visitor or Visitor("", ""))
        try:
            await self._app(scope, bounded, guarded)
        finally:
            leave(entered)

    async def _guard_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        cookies = read_cookies(scope)
        visitor = self._visitor(cookies)
        if self._refuse_host(scope) or not _same_origin(scope) or visitor is None:
            await receive()
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return

        async def watched() -> Message:
            """Hang up on a login that has ended; browsers send something twice a minute."""
            message = await receive()
            if message["type"] == "websocket.receive" and self._visitor(cookies) != visitor:
                return {"type": "websocket.disconnect", "code": _POLICY_VIOLATION}
            return message

        entered = enter(visitor)
        try:
            await self._app(scope, watched, send)
        finally:
            leave(entered)

    def _visitor(self, cookies: dict[str, str]) -> Visitor | None:
        if self._rules.logins is None:
            return LOCAL
        return self._rules.logins.find(cookies.get(self._rules.cookie, ""))

    def _refuse(self, scope: Scope, token: str) -> str:
        """Return why a request cannot come from a page of this site, empty if it can."""
        if self._refuse_host(scope):
            return "This site listens to its own host only; use 127.0.0.1 or localhost."
        if scope["method"] in _SAFE:
            return ""
        if not _same_origin(scope):
            return "The request comes from another site."
        if scope["path"] == LOGIN_PATH:
            return ""  # its form carries the token in its body, which the page itself compares
        if not token or not hmac.compare_digest(
            _header(scope, CSRF_HEADER).encode(), token.encode()
        ):
            return "The page is too old; load it again."
        return ""

    def _refuse_host(self, scope: Scope) -> bool:
        """Tell names that others made point to this host: a way to read it through a browser."""
        if self._rules.logins is not None:
            return False
        return _host_name(_header(scope, "host")) not in _LOOPBACK_NAMES

    def _with_headers(self, scope: Scope, send: Send, fresh: str) -> Send:
        """Return `send` that adds the headers, and a cookie with a fresh token."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = message["status"]
                if status == _SERVER_ERROR and scope["path"].startswith(_CALLBACKS):
                    status = _BAD_REQUEST
                headers = self._complete(message, fresh)
                message = {**message, "status": status, "headers": headers}
            await send(message)

        return guarded

    def _complete(self, message: Message, fresh: str) -> list[tuple[bytes, bytes]]:
        """Return an answer's headers with those that it lacks."""
        headers: list[tuple[bytes, bytes]] = list(message.get("headers", []))
        known = {name.lower(): value for name, value in headers}
        for name, value in self._headers.items():
            if name.encode() not in known:
                headers.append((name.encode(), value.encode()))
        kind = known.get(b"content-type", b"")
        if b"cache-control" not in known and kind.startswith(_PRIVATE):
            headers.append((b"cache-control", b"no-store"))
        if fresh and kind.startswith(b"text/html"):
            secure = "; Secure" if self._rules.tls else ""
            cookie = f"{CSRF_COOKIE}={fresh}; Path=/; SameSite=Strict{secure}"
            headers.append((b"set-cookie", cookie.encode()))
        return headers


class _Bounded:
    """A body that ends, as if the sender had left, once it is longer than `limit`."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._left = limit
        self._limit = limit

    def declares_too_much(self, scope: Scope) -> bool:
        """Return whether the length that the request states is beyond the limit."""
        length = _header(scope, "content-length")
        return bool(length) and (not length.isdigit() or int(length) > self._limit)

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                return {"type": "http.disconnect"}
        return message


def read_cookies(scope: Scope) -> dict[str, str]:
    """Return the cookies of a request; what is no cookie is left out."""
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(_header(scope, "cookie"))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in jar.items()}


def _header(scope: Scope, name: str) -> str:
    wanted = name.encode()
    return next((v.decode("latin-1") for n, v in scope["headers"] if n == wanted), "")


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _same_origin(scope: Scope) -> bool:
    """Return whether the page that sends this came from the host that it is sent to."""
    origin, host = _header(scope, "origin"), _header(scope, "host")
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    secure = scope["scheme"] in ("https", "wss")
    return bool(host) and parts.netloc == host and parts.scheme == ("https" if secure else "http")


async def _answer(
    send: Send, status: int, text: str, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    body = text.encode()
    plain = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send(
        {"type": "http.response.start", "status": status, "headers": plain + (headers or [])}
    )
    await send({"type": "http.response.body", "body": body})
