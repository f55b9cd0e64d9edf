"""How large a fabric may be; builders and importers ask before they make anything."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from fabricscope.errors import FabricError

__all__ = ["MAX_DEVICES", "MAX_LINKS", "at_most", "check_size"]

MAX_DEVICES: Final = 200_000
MAX_LINKS: Final = 1_000_000
_most_links: ContextVar[int] = ContextVar("most_links", default=MAX_LINKS)


@contextmanager
def at_most(links: int) -> Iterator[None]:
    """Refuse more than `links` links within it, for callers that strangers give work to."""
    token = _most_links.set(links)
    try:
        yield
    finally:
        _most_links.reset(token)


def check_size(what: str, devices: int, links: int) -> None:
    """Raise FabricError when `what` would have more devices or links than are supported."""
    most_links = min(MAX_LINKS, _most_links.get())
    for count, limit, kind in (
        (devices, MAX_DEVICES, "devices"),
        (links, most_links, "links"),
    ):
        if count > limit:
            raise FabricError(
                f"{what}: {count:,} {kind} are more than the {limit:,} that a fabric may have; "
                "take a smaller part of it"
            )
