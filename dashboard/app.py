"""The live site as a Dash application: `create_app` puts frame, pages and protections together."""

from pathlib import Path
from typing import Any, Final

from dash import Dash, no_update, set_props

from fabricscope.dashboard import ids, shell
from fabricscope.dashboard.pages.registry import PAGES
from fabricscope.dashboard.site import Site, SiteConfig
from fabricscope.store import Store
from fabricscope.topology.fabric import Fabric

__all__ = ["create_app"]

_ASSETS: Final = Path(__file__).parent / "assets"


def create_app(store: Store, fabric: Fabric | None, config: SiteConfig) -> Dash:
    """Return the site; `app.server` is the ASGI application that a server runs."""
    site = Site(store=store, fabric=fabric, config=config)
    app = Dash(
        "fabricscope",
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
    return app


def _report(error: Exception) -> Any:
    """Say in the strip what a callback met; the page stays as it is."""
    set_props(ids.PROBLEM, {"data": shell.explain(error)})
    return no_update
