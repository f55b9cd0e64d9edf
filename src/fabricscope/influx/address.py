"""Where an InfluxDB is and who we are there: `influx://user:password@host:8086/database?...`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from fabricscope.errors import ConfigError

__all__ = ["PRECISIONS_NS", "Address", "parse_address"]

PRECISIONS_NS: Final = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
"""Units of the points' times, ns each."""

_SCHEMES: Final = {"influx": "http", "influxs": "https"}
_OPTIONS: Final = ("org", "precision", "token", "ca", "spool", "spool_mb")
_PORT: Final = 8086
_SPOOL_MB: Final = 1_024
_SMALLEST_SPOOL_MB: Final = 16


@dataclass(frozen=True)
class Address:
    """A database on a server. Secrets are left out of the text that `repr` gives."""

    url: str
    """`http://host:port` or `https://host:port`."""
    database: str
    """Name of the database (1.x, 3) or bucket (2), without the retention policy."""
    policy: str = ""
    org: str = ""
    precision: str = "ns"
    token: str = field(default="", repr=False)
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    spool_folder: str = ""
    spool_bytes: int = _SPOOL_MB << 20

    def spool_path(self, collector: str) -> Path:
        """Return where points of a collector wait for this database."""
        if self.spool_folder:
            return Path(self.spool_folder)
        state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
        host = self.url.partition("://")[2]
        place = "_".join([host, self.database, self.policy, self.precision, collector])
        return Path(state) / "fabricscope" / "spool" / quote(place, safe=":")


def parse_address(text: str, environment: Mapping[str, str] | None = None) -> Address:
    """Return what a URL such as `influxs://host/db?org=lab` says.

    Token, user, password and organization may come from INFLUX_TOKEN, INFLUX_USERNAME,
    INFLUX_PASSWORD and INFLUX_ORG; the URL goes first. Raises ConfigError, which never shows what
    stands before the host: it may be a password.
    """
    environment = os.environ if environment is None else environment
    scheme, _, rest = text.partition("://")
    shown = f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"
    if scheme not in _SCHEMES:
        raise ConfigError(
            f"{shown} is no store; give a directory, or influx://HOST:PORT/DATABASE "
            "(influxs:// with TLS)"
        )
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port or _PORT
    except ValueError:
        raise ConfigError(f"{shown}: the host and port cannot be read; write HOST:PORT") from None
    database, _, policy = unquote(parts.path.strip("/")).partition("/")
    if not host or not database:
        raise ConfigError(f"{shown} names no {'database' if host else 'host'}; {_example(scheme)}")
    options = _options(parts.query, shown)
    token = options.get("token") or environment.get("INFLUX_TOKEN", "")
    user = unquote(parts.username or "") or environment.get("INFLUX_USERNAME", "")
    password = unquote(parts.password or "") or environment.get("INFLUX_PASSWORD", "")
    return Address(
        url=f"{_SCHEMES[scheme]}://{f'[{host}]' if ':' in host else host}:{port}",
        database=database,
        policy=policy,
        org=options.get("org") or environment.get("INFLUX_ORG", ""),
        precision=_precision(options.get("precision", "ns"), shown),
        # What the URL says of user and password goes before a token of the environment.
        token="" if parts.username and "token" not in options else token,
        user=user,
        password=password,
        ca_file=_ca_file(options.get("ca", ""), shown),
        spool_folder=options.get("spool", ""),
        spool_bytes=_spool_bytes(options.get("spool_mb", str(_SPOOL_MB)), shown),
    )


def _example(scheme: str) -> str:
    return f"write it as {scheme}://HOST:PORT/DATABASE"


def _options(query: str, shown: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name in options:
        if name not in _OPTIONS:
            raise ConfigError(f"{shown} has no option {name}; there are {', '.join(_OPTIONS)}")
    return options


def _precision(text: str, shown: str) -> str:
    if text not in PRECISIONS_NS:
        raise ConfigError(
            f"{shown}: precision {text!r} is none of {', '.join(PRECISIONS_NS)}; "
            "ns keeps every time as it is"
        )
    return text


def _ca_file(text: str, shown: str) -> str:
    if text and not Path(text).is_file():
        raise ConfigError(f"{shown}: ca={text}: there is no such file of certificates")
    return text


def _spool_bytes(text: str, shown: str) -> int:
    if not text.isdigit() or int(text) < _SMALLEST_SPOOL_MB:
        raise ConfigError(
            f"{shown}: spool_mb={text} is no size; give {_SMALLEST_SPOOL_MB} or more (megabytes)"
        )
    return int(text) << 20
