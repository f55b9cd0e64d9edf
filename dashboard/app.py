"""The live site as a Dash application: `create_app` puts frame, pages and protections together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from dash import Dash
from fastapi import FastAPI

from fabricscope.dashboard import shell
from fabricscope.dashboard.pages.capture_work import desk_of
from fabricscope.dashboard.pages.failover_work import bench_of
from fabricscope.dashboard.pages.registry import PAGES
from fabricscope.dashboard.problems import TellingDash
from fabricscope.dashboard.security.guard import Guard, Rules
from fabricscope.dashboard.security.headers import content_policy
from fabricscope.dashboard.security.login_page import add_login
from fabricscope.dashboard.security.logins import Logins
from fabricscope.dashboard.security.users import UserFile
from fabricscope.dashboard.site import UPLOAD_PATH, Site, SiteConfig
from fabricscope.store import Store
from fabricscope.topology.fabric import Fabric

__all__ = ["create_app"]

_ASSETS: Final = Path(__file__).parent / "assets"
_WORKERS: Final = 16
"""Threads of callbacks, which all browsers share: most wait for the store or for a fabric."""


def create_app(store: Store, fabric: Fabric | None, config: SiteConfig) -> Dash:
    """Return the site; `app.server` is the ASGI application that a server runs.

    Users of `config.users` have to log in; where there are none, only this host is answered.
    """
    site = Site(store=store, fabric=fabric, config=config)

    @asynccontextmanager
    async def live(_: FastAPI) -> AsyncIterator[None]:
        yield
        desk_of(site).close()
        bench_of(site).close()

    server = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=live)
    app = TellingDash(
        "fabricscope",
        server=server,  # type: ignore[arg-type]
        backend="fastapi",
        websocket_callbacks=True,
        websocket_max_workers=_WORKERS,
        assets_folder=str(_ASSETS),
        title="Fabricscope",
        update_title="",
        serve_locally=True,
        suppress_callback_exceptions=True,
        compress=True,
        enable_mcp=False,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    app.layout = shell.lay_out()
    shell.register(app, site)
    for page in PAGES:
        page.register(app, site)
    # Else Dash looks for its files at the first request for /, and any other page, asked for before
    # it, comes without them: a permalink after the server's start, say.
    app._setup_server()  # type: ignore[no-untyped-call]
    _protect(app, server, config)
    return app


def _protect(app: Dash, server: FastAPI, config: SiteConfig) -> None:
    """Put the guard before everything, and the login where there are users."""
    users = UserFile(config.users) if config.users else None
    logins = Logins(users) if users is not None and users.users() else None
    rules = Rules(
        logins=logins,
        policy=content_policy(app.csp_hashes()),
        tls=config.tls,
        uploads={UPLOAD_PATH: config.upload_limit_bytes},
    )
    if users is not None and logins is not None:
        add_login(server, users, logins, rules)
    server.add_middleware(Guard, rules=rules)
