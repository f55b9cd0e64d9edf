"""The login: one form without scripts, a bounded number of tries, and the way out."""

import asyncio
import hmac
import math
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader

from fabricscope.dashboard.security.attempts import Attempts
from fabricscope.dashboard.security.guard import LOGIN_PATH, Rules
from fabricscope.dashboard.security.logins import LIFETIME_S, Logins
from fabricscope.dashboard.security.users import UserFile

__all__ = ["LOGOUT_PATH", "add_login"]

LOGOUT_PATH: Final = "/logout"
_FORM_LIMIT: Final = 8_192
_HASHES_AT_ONCE: Final = 1
"""Each takes 64 MiB and all cores: many at once would be an attack of its own."""
_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent.parent / "templates"), autoescape=True
)


def add_login(server: FastAPI, users: UserFile, logins: Logins, rules: Rules) -> Attempts:
    """Add the routes of login and logout to `server`; return the count of failures."""
    attempts = Attempts()
    hashing = asyncio.Semaphore(_HASHES_AT_ONCE)

    async def show(request: Request) -> Response:
        return _page(request, request.query_params.get("next", "/"))

    async def log_in(request: Request) -> Response:
        form = await _read_form(request)
        to, name = form.get("next", "/"), form.get("name", "")[:64]
        if not _carries_token(request, form):
            return _page(request, to, "The page was too old; try again.", 403)
        address = request.client.host if request.client else ""
        wait_s = attempts.wait_s(address, name)
        if wait_s > 0:
            seconds = math.ceil(wait_s)
            text = f"Too many tries; wait {seconds} seconds."
            return _page(request, to, text, 429, {"retry-after": str(seconds)})
        async with hashing:
            user = await asyncio.to_thread(users.verify, name, form.get("password", ""))
        if user is None:
            return _page(request, to, "Name and password do not fit.", 401)
        attempts.succeed(address, name)
        answer = RedirectResponse(_inside(to), status_code=303)
        answer.set_cookie(
            rules.cookie, logins.begin(user), max_age=LIFETIME_S, path="/", httponly=True,
            secure=rules.tls, samesite="strict",
        )  # fmt: skip
        return answer

    async def log_out(request: Request) -> Response:
        logins.end(request.cookies.get(rules.cookie, ""))
        answer = Response(status_code=204)
        answer.delete_cookie(rules.cookie, path="/", httponly=True, secure=rules.tls)
        return answer

    async def visit(request: Request) -> Response:
        return await (log_in if request.method == "POST" else show)(request)

    # One route, so that the answer to another method lists both.
    server.add_api_route(LOGIN_PATH, visit, methods=["GET", "POST"], include_in_schema=False)
    server.add_api_route(LOGOUT_PATH, log_out, methods=["POST"], include_in_schema=False)
    return attempts


def _page(
    request: Request,
    to: str,
    text: str = "",
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    page = _TEMPLATES.get_template("login.html").render(
        csrf=request.state.csrf, to=_inside(to), text=text
    )
    return HTMLResponse(page, status_code=status, headers=headers)


async def _read_form(request: Request) -> dict[str, str]:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _FORM_LIMIT:
            return {}
    try:
        found = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=8)
    except ValueError:
        return {}
    return {name: values[0] for name, values in found.items()}


def _carries_token(request: Request, form: dict[str, str]) -> bool:
    """Return whether the form came with the token that its page gave to this browser."""
    cookie = request.cookies.get("_csrf_token", "")
    return bool(cookie) and hmac.compare_digest(form.get("csrf", "").encode(), cookie.encode())


def _inside(to: str) -> str:
    """Return a path of this site: a link to the login must not lead anywhere else."""
    try:
        parts = urlsplit(to)
    except ValueError:
        return "/"
    plain = to.startswith("/") and not to.startswith(("//", "/\\")) and "\\" not in to
    outside = parts.scheme or parts.netloc or not to.isascii() or not to.isprintable()
    return to if plain and not outside and parts.path != LOGIN_PATH else "/"
