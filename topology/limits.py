"""How large a fabric may be; builders and importers ask before they make anything."""

from typing import Final

from fabricscope.errors import FabricError

__all__ = ["MAX_DEVICES", "MAX_LINKS", "check_size"]

MAX_DEVICES: Final = 200_000
MAX_LINKS: Final = 1_000_000


def check_size(what: str, devices: int, links: int) -> None:
    """Raise FabricError when `what` would have more devices or links than are supported."""
    for count, limit, kind in ((devices, MAX_DEVICES, "devices"), (links, MAX_LINKS, "links")):
        if count > limit:
            raise FabricError(
                f"{what}: {count:,} {kind} are more than the {limit:,} that a fabric may have; "
                "take a smaller part of it"
            )
