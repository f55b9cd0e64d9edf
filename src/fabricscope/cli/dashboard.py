"""`fabricscope dashboard`: open the store and the fabric, then serve the site."""

import gc
from dataclasses import dataclass
from pathlib import Path

import typer

from fabricscope.cli.topology import load_fabric
from fabricscope.cli.users import find_users
from fabricscope.dashboard.app import create_app
from fabricscope.dashboard.server import Address, is_loopback, serve
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
    users: str = ""
    certificate: str = ""
    key: str = ""


def run(request: DashboardRequest) -> None:
    """Serve until interrupted. Raises FabricscopeError for what cannot be opened."""
    gc.enable()
    users = find_users(request.users)
    address = _check_address(request, bool(users.users()))
    store = _open_store(request.store)
    fabric = load_fabric(request.topology) if request.topology else None
    config = SiteConfig(
        store_name=request.store,
        captures=_find_folder(request.captures),
        upload_limit_bytes=max(0, request.upload_limit_mib) << 20,
        users=users.path if users.users() else None,
        tls=address.certificate is not None,
    )
    app = create_app(store, fabric, config)

    def announce() -> None:
        typer.echo(f"Fabricscope is at {address.url}; Ctrl-C ends it.", err=True)

    serve(app, address, announce)


def _check_address(request: DashboardRequest, has_users: bool) -> Address:
    """Return where to listen; an address that others reach needs users."""
    if request.users and not has_users:
        raise ConfigError(
            f"--users {request.users} holds no users; `fabricscope user add NAME --users "
            f"{request.users}` makes one"
        )
    if not is_loopback(request.host) and not has_users:
        raise ConfigError(
            f"--host {request.host} lets others in and there are no users; make one with "
            "`fabricscope user add NAME`, or listen on 127.0.0.1"
        )
    if bool(request.certificate) != bool(request.key):
        raise ConfigError("--certificate and --key go together: give both for HTTPS, or neither")
    for option, file in (("--certificate", request.certificate), ("--key", request.key)):
        if file and not Path(file).is_file():
            raise ConfigError(f"{option} {file} is no file")
    if not is_loopback(request.host) and not request.certificate:
        typer.echo(
            "! Passwords travel in the clear: give --certificate and --key, or put a proxy with "
            "TLS before this host.",
            err=True,
        )
    return Address(
        request.host,
        request.port,
        Path(request.certificate) if request.certificate else None,
        Path(request.key) if request.key else None,
    )


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
