"""Ways from what a page says to the packets that prove it."""

from dataclasses import replace

from fabricscope.dashboard.data.training import read_taps
from fabricscope.dashboard.site import Site
from fabricscope.dashboard.view import View

__all__ = ["packets_link"]


def packets_link(site: Site, view: View, host: str, way: str, collector: str = "") -> str:
    """Return where the packets of `host` in the direction `way` (up, down or both) are.

    That is the capture that a tap of the collector is named after, as those of replays are; where
    the folder has none, the reader chooses one.
    """
    seen = replace(view.without_parameters(), collector=collector or view.collector)
    folder = site.config.captures
    taps = [] if folder is None else site.read(read_taps, seen)
    known = [tap for tap in taps if folder is not None and (folder / tap).is_file()]
    return view.link("/captures", file=known[0] if known else "", host=host, way=way)
