"""What a page shows, as its address says: time range, collector, and the page's own parameters.

An address is all the state there is, so that it can be kept or sent to somebody else. Times in it
are milliseconds since the epoch, which JavaScript can count.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

__all__ = ["DEFAULT_RANGE", "RANGES", "View", "read_view"]

_SECOND_NS: Final = 1_000_000_000
_MS_NS: Final = 1_000_000
RANGES: Final = {
    "1m": ("Last minute", 60),
    "5m": ("Last 5 minutes", 300),
    "15m": ("Last 15 minutes", 900),
    "1h": ("Last hour", 3_600),
    "6h": ("Last 6 hours", 21_600),
    "24h": ("Last 24 hours", 86_400),
    "7d": ("Last 7 days", 604_800),
    "30d": ("Last 30 days", 2_592_000),
}
DEFAULT_RANGE: Final = "5m"
_RESERVED: Final = ("range", "from", "to", "collector", "paused")
_QUERY_LIMIT: Final = 12_000
_TEXT_LIMIT: Final = 400
_LIST_LIMITS: Final = {"fail": 4_000}
"""Lists in an address. A longer one is taken as not given: cut, it would say something else."""
_PARAMETERS_LIMIT: Final = 32


@dataclass(frozen=True)
class View:
    """start_ns <= time < end_ns; `live` while the end is now and the page follows it.

    range: a key of RANGES, "" for a fixed stretch of time; collector: "" for all; parameters: the
    page's own, in order of name.
    """

    start_ns: int
    end_ns: int
    range: str = DEFAULT_RANGE
    paused: bool = False
    collector: str = ""
    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def live(self) -> bool:
        """Return whether the page follows the time."""
        return bool(self.range) and not self.paused

    @property
    def seconds(self) -> float:
        """Return the length of the time range."""
        return (self.end_ns - self.start_ns) / _SECOND_NS

    def parameter(self, name: str, default: str = "") -> str:
        """Return the page parameter `name`."""
        return dict(self.parameters).get(name, default)

    def query(self, **parameters: str) -> str:
        """Return the address's query for this time range and these page parameters."""
        pairs: list[tuple[str, str]] = []
        if self.range:
            if self.range != DEFAULT_RANGE:
                pairs.append(("range", self.range))
        else:
            pairs.append(("from", str(self.start_ns // _MS_NS)))
            pairs.append(("to", str(-(-self.end_ns // _MS_NS))))
        if self.paused:
            pairs.append(("paused", "1"))
        if self.collector:
            pairs.append(("collector", self.collector))
        pairs += sorted((name, value) for name, value in parameters.items() if value)
        return urlencode(pairs)

    def link(self, path: str, **parameters: str) -> str:
        """Return the address of the page at `path` with the same time range."""
        query = self.query(**parameters)
        return f"{path}?{query}" if query else path

    def without_parameters(self) -> "View":
        """Return the view as pages that take no parameters see it, for answers they share."""
        return replace(self, parameters=())


def read_view(search: str | Mapping[str, Any] | None, now_ns: int | None = None) -> View:
    """Return the view of an address's query, given as text or as what `ids.VIEW` holds.

    Whatever makes no sense is taken as not given: an address is untrusted text.
    """
    if isinstance(search, Mapping):
        search = str(search.get("search") or "")
    pairs = _pairs((search or "").removeprefix("?"))
    now = (time.time_ns() if now_ns is None else now_ns) // _SECOND_NS * _SECOND_NS
    chosen = pairs.get("range", "")
    start_ms, end_ms = _number(pairs.get("from", "")), _number(pairs.get("to", ""))
    if chosen not in RANGES and start_ms is not None and end_ms is not None and start_ms < end_ms:
        start_ns, end_ns, chosen = start_ms * _MS_NS, end_ms * _MS_NS, ""
    else:
        chosen = chosen if chosen in RANGES else DEFAULT_RANGE
        start_ns, end_ns = now - RANGES[chosen][1] * _SECOND_NS, now
    own = tuple(sorted((name, value) for name, value in pairs.items() if name not in _RESERVED))
    return View(
        start_ns=start_ns,
        end_ns=end_ns,
        range=chosen,
        paused=pairs.get("paused") == "1",
        collector=pairs.get("collector", ""),
        parameters=own,
    )


def _pairs(query: str) -> dict[str, str]:
    try:
        if len(query) > _QUERY_LIMIT:
            query = query[:_QUERY_LIMIT].rpartition("&")[0]
        found = parse_qsl(query, max_num_fields=_PARAMETERS_LIMIT)
    except ValueError:
        return {}
    return {
        name[:_TEXT_LIMIT]: value if name in _LIST_LIMITS else value[:_TEXT_LIMIT]
        for name, value in found
        if len(value) <= _LIST_LIMITS.get(name, len(value))
    }


def _number(text: str) -> int | None:
    if not text.isascii() or not text.isdigit() or len(text) > 13:
        return None
    return int(text)
