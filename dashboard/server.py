"""Serve the site: which address, with or without TLS, until the user ends it."""

import ipaddress
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from dash import Dash

from fabricscope.errors import ConfigError

__all__ = ["Address", "is_loopback", "serve"]


@dataclass(frozen=True)
class Address:
    """Where the site listens; certificate and key are files, None without TLS."""

    host: str = "127.0.0.1"
    port: int = 8050
    certificate: Path | None = None
    key: Path | None = None

    @property
    def url(self) -> str:
        """Return what to type into a browser."""
        scheme = "https" if self.certificate else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Return whether only this host can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(app: Dash, address: Address, announce: Callable[[], None]) -> None:
    """Serve until interrupted; `announce` is called once the address is had.

    Raises ConfigError when the address cannot be had.
    """
    config = uvicorn.Config(
        app.server,
        host=address.host,
        port=address.port,
        ssl_certfile=address.certificate,
        ssl_keyfile=address.key,
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        ws_max_size=1 << 20,
        timeout_graceful_shutdown=2,
    )
    with _listen(address) as listener:
        announce()
        uvicorn.Server(config).run(sockets=[listener])


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(256)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {address.host}:{address.port}: {error.strerror or error}; choose "
            "another --port or --host"
        ) from error
    return listener
