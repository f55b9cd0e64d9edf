"""The live site as a Dash application: `create_app` puts frame, pages and protections together."""

import time
from pathlib import Path
from typing import Any, Final

from dash import Dash, no_update, set_props
from fastapi import FastAPI

from fabricscope.dashboard import ids, shell
from fabricscope.dashboard.pages.registry import PAGES
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


def create_app(store: Store, fabric: Fabric | None, config: SiteConfig) -> Dash:
    """Return the site; `app.server` is the ASGI application that a server runs.

    Users of `config.users` have to log in; where there are none, only this host is answered.
    """
    site = Site(store=store, fabric=fabric, config=config)
    server = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app = Dash(
        "fabricscope",
        server=server,  # type: ignore[arg-type]
        backend="fastapi",
        websocket_callbacks=True,
        assets_folder=str(_ASSETS),
        title="Fabricscope",
        update_title="",
        serve_locally=True,
        suppress_callback_exceptions=True,
        compress=True,
        enable_mcp=False,
        on_error=_report,
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


def _report(error: Exception) -> Any:
    """Say in the strip what a callback met; the page stays as it is."""
    said = {"text": shell.explain(error), "time_ms": time.time_ns() // 1_000_000}
    set_props(ids.PROBLEM, {"data": said})
    return no_update
