"""What every page is given: the store, the fabric, the settings, and answers shared by browsers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import polars as pl

from fabricscope.dashboard.data.reading import Reader
from fabricscope.dashboard.view import View
from fabricscope.errors import StoreError
from fabricscope.schemas import schema_of
from fabricscope.store import Store
from fabricscope.topology.fabric import Fabric

__all__ = ["MAX_POINTS", "UPLOAD_PATH", "NoStore", "Site", "SiteConfig"]

_P = ParamSpec("_P")
_T = TypeVar("_T")
MAX_POINTS: Final = 2_000
"""Most points of one trace, and so most intervals of one query."""
UPLOAD_PATH: Final = "/upload"
"""Where a capture is sent to, as the body of a POST."""


@dataclass(frozen=True)
class SiteConfig:
    """Settings of the site, as the command line gives them.

    store_name: what the user called the store, empty for none; captures: folder whose captures may
    be opened, None for none; users: file of users, None while everybody on this host may look;
    tls: whether browsers come over HTTPS.
    """

    store_name: str = ""
    captures: Path | None = None
    upload_limit_bytes: int = 256 << 20
    users: Path | None = None
    tls: bool = False


class NoStore:
    """A store that holds nothing, for a site that only simulates and reads captures."""

    problem = ""
    note = ""

    def query(
        self,
        table: str,
        start_ns: int,
        end_ns: int,
        *,
        columns: Sequence[str] | None = None,
        where: pl.Expr | None = None,
        max_points: int | None = None,
    ) -> pl.DataFrame:
        """Return no rows."""
        schema = schema_of(table)
        return pl.DataFrame(schema={name: schema[name] for name in columns or schema})

    def append(self, table: str, frame: pl.DataFrame) -> None:
        """Take nothing: there is no place to keep it. Raises StoreError."""
        raise StoreError(
            f"{table} cannot be kept without a store; start the site with --store DIR, the "
            "directory that a collector fills"
        )

    def __enter__(self) -> "NoStore":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""


@dataclass(frozen=True, eq=False)
class Site:
    """The store and fabric that the pages show; `fabric` is None without a topology file."""

    store: Store
    fabric: Fabric | None
    config: SiteConfig
    reader: Reader = field(default_factory=Reader)

    def read(
        self,
        function: Callable[Concatenate[Store, View, _P], _T],
        view: View,
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _T:
        """Return `function(store, view, ...)`, run once a second for all who ask the same."""
        share: Callable[..., Any] = self.reader.read
        return share(function, self.store, view, *args, **kwargs)  # type: ignore[no-any-return]

    def keep(
        self,
        seconds: float,
        function: Callable[Concatenate[Store, View, _P], _T],
        view: View,
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _T:
        """Return what `read` does, for a view whose ends are rounded and kept for `seconds`."""
        step = max(1, int(seconds)) * 1_000_000_000
        start_ns, end_ns = view.start_ns // step * step, -(-view.end_ns // step) * step
        rounded = replace(view, start_ns=start_ns, end_ns=end_ns) if view.range else view
        keep: Callable[..., Any] = self.reader.keep
        return keep(seconds, function, self.store, rounded, *args, **kwargs)  # type: ignore[no-any-return]

    def share(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Return `function(...)`, run once a second for all who ask the same: figures and such."""
        return self.reader.read(function, *args, **kwargs)
