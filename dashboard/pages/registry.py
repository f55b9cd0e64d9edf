"""Every page of the site, in order of the navigation."""

from typing import Final

from fabricscope.dashboard.pages import (
    alerts,
    captures,
    fabric,
    failover,
    links,
    rdma,
    system,
    traffic,
    training,
)
from fabricscope.dashboard.pages.page import Page

__all__ = ["PAGES", "find_page"]

PAGES: Final[tuple[Page, ...]] = (
    fabric.PAGE,
    links.PAGE,
    rdma.PAGE,
    training.PAGE,
    traffic.PAGE,
    failover.PAGE,
    captures.PAGE,
    alerts.PAGE,
    system.PAGE,
)


def find_page(path: str) -> Page | None:
    """Return the page at `path`, None when there is none."""
    path = path.rstrip("/") or "/"
    return next((page for page in PAGES if page.path == path), None)
