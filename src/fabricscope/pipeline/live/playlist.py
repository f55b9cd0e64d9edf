"""Captures and recipes in turn, without end, as a feed: traffic for a system that is shown.

A recipe is generated anew for each turn with a seed of its own, so that packet numbers are new;
an RDMA capture played twice would look like a retransmission of all its packets.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from fabricscope.collectors.synthetic import generate
from fabricscope.pipeline.live.feeds import Batch, FileFeed, Losses, SilentFeed
from fabricscope.records import Packets

__all__ = ["PlaylistFeed"]

MAX_SEED: Final = 1 << 24


class PlaylistFeed:
    """A feed of packets at their own pace; a context that owns a temporary folder.

    entries: captures, or recipes (`.toml`) with one tap as `fabricscope generate` takes them.
    Raises RecipeError or CaptureError for one that is wrong when its turn comes.
    """

    waits = True

    waits = True

    def __init__(self, entries: Sequence[str], tap: str, *, seed: int = 1) -> None:
        """Take the entries in the order of their turns; tap: the name of the mirror source."""
        self._entries = list(entries)
        self._tap = tap
        self._seed = seed
        self._turn = 0
        self._now: FileFeed | None = None
        self._stopped = False
        self._clock = SilentFeed()

    def __enter__(self) -> Self:
        """Make the folder that captures are generated in."""
        self._folder = tempfile.TemporaryDirectory(prefix="fabricscope-")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove it."""
        if self._now is not None:
            self._now.close()
        self._folder.cleanup()

    def tap_names(self) -> list[str]:
        """Return the one tap."""
        return [self._tap]

    def read(self, packets: Packets, timeout_s: float) -> Batch | None:
        """Return the packets whose time has come; None after `stop` only."""
        if self._stopped:
            return None
        if self._now is None:
            self._now = self._play()
        batch = self._now.read(packets, timeout_s)
        if batch is not None:
            return batch
        self._now.close()
        self._now = None
        return self._clock.read(packets, 0.0)

    def _play(self) -> FileFeed:
        """Open the next turn's capture, generated first if need be, to begin now."""
        path = self._entries[self._turn % len(self._entries)]
        if path.endswith(".toml"):
            made = str(Path(self._folder.name) / "turn.pcap")
            generate(path, made, seed=(self._seed + self._turn) % MAX_SEED)
            path = made
        self._turn += 1
        return FileFeed(path, rebase_ns=time.time_ns())

    def stop(self) -> None:
        """End here."""
        self._stopped = True

    def waiting_share(self) -> float:
        """Return 0: what is not read stays where it is."""
        return 0.0

    def losses(self) -> dict[int, Losses]:
        """Return nothing: generated packets are not lost here."""
        return {}

    def now_ns(self) -> int:
        """Return the time of the packets that would come now."""
        return self._clock.now_ns()
