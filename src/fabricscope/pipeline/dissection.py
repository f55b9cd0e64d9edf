"""One packet of a capture told by Wireshark's own dissectors, for those who wait for it."""

from collections.abc import Callable

from fabricscope.collectors.dissect import DissectedPacket, dissect

__all__ = ["DissectedPacket", "dissect_packet"]


def dissect_packet(
    path: str, frame: int, progress: Callable[[int, int | None], None] = lambda done, total: None
) -> DissectedPacket:
    """Return the packet with this number, all its layers and fields.

    Must not be called while an event loop runs in the same thread. Raises CaptureError, and
    DependencyError where tshark is missing.
    """
    return next(iter(dissect(path, [frame])))
