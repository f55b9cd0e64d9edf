"""`fabricscope dashboard`: open the store and the fabric, then serve the site."""

import gc
from dataclasses import dataclass
from pathlib import Path

import typer

from fabricscope.cli.topology import load_fabric
from fabricscope.dashboard.app import create_app
from fabricscope.dashboard.server import Address, serve
from fabricscope.dashboard.site import NoStore, SiteConfig
from fabricscope.errors import ConfigError
from fabricscope.store import DeltaStore, Store, open_store

__all__ = ["DashboardRequest", "run"]


@dataclass(frozen=True)
class DashboardRequest:
    """What the command line asked for."""

    store: str = ""
    topology: str = ""
    captures: str = ""
    host: str = "127.0.0.1"
    port: int = 8050
    upload_limit_mib: int = 256


def run(request: DashboardRequest) -> None:
    """Serve until interrupted. Raises FabricscopeError for what cannot be opened."""
    gc.enable()
    store = _open_store(request.store)
    fabric = load_fabric(request.topology) if request.topology else None
    config = SiteConfig(
        store_name=request.store,
        captures=_find_folder(request.captures),
        upload_limit_bytes=max(0, request.upload_limit_mib) << 20,
    )
    address = Address(request.host, request.port)
    app = create_app(store, fabric, config)
    typer.echo(f"Fabricscope is at {address.url}; Ctrl-C ends it.", err=True)
    serve(app, address)


def _open_store(place: str) -> Store:
    if not place:
        return NoStore()
    store = open_store(place)
    if isinstance(store, DeltaStore) and store.root.exists() and not store.root.is_dir():
        raise ConfigError(f"--store {place} is a file; give the directory that a collector fills")
    return store


def _find_folder(folder: str) -> Path | None:
    if not folder:
        return None
    path = Path(folder)
    if not path.is_dir():
        raise ConfigError(f"--captures {folder} is no directory; name the folder of your captures")
    return path.resolve()
