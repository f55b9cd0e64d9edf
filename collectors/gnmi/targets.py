"""Where a switch's gNMI server is and who we are there: `gnmi://user:password@leaf1:6030?ca=FILE`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from fabricscope.errors import ConfigError

__all__ = ["Target", "parse_target"]

_PORT: Final = 9339  # assigned to gNMI by IANA
_FORM: Final = "write gnmi://HOST:PORT?ca=FILE, or ?tls=off"


@dataclass(frozen=True)
class Target:
    """One server. ca: file of certificates to trust, empty for those of the system."""

    host: str
    port: int = _PORT
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    tls: bool = True
    ca: str = ""

    @property
    def address(self) -> str:
        """Return host:port, IPv6 addresses in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_target(text: str, environment: Mapping[str, str] | None = None) -> Target:
    """Return the target that `text` names.

    User and password may come from GNMI_USERNAME and GNMI_PASSWORD. Raises ConfigError, which never
    shows what stands before the host: it may be a password.
    """
    environment = os.environ if environment is None else environment
    try:
        parts = urlsplit(text)
        port = parts.port or _PORT
    except ValueError:
        raise ConfigError(f"--gnmi: the address is no URL; {_FORM}") from None
    options = dict(parse_qsl(parts.query))
    wrong = [name for name in options if name not in ("ca", "tls")]
    if parts.scheme != "gnmi" or not parts.hostname or parts.path.strip("/"):
        raise ConfigError(f"--gnmi: the address is not of a gNMI server; {_FORM}")
    if wrong or options.get("tls", "on") not in ("on", "off"):
        raise ConfigError(f"--gnmi {parts.hostname}: options are ca=FILE and tls=off; {_FORM}")
    return Target(
        parts.hostname,
        port,
        unquote(parts.username or "") or environment.get("GNMI_USERNAME", ""),
        unquote(parts.password or "") or environment.get("GNMI_PASSWORD", ""),
        options.get("tls") != "off",
        options.get("ca", ""),
    )
