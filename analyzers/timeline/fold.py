"""Bring timelines that were binned apart to one scale."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

TIMELINE_BINS: Final = 2_000


def fold_to(
    timeline: NDArray[np.int64], shift: int, target_shift: int, offset_ns: int
) -> NDArray[np.int64]:
    """Return `timeline` re-binned to 2**`target_shift` ns, moved by `offset_ns`.

    timeline: (bins, series) at 2**`shift` ns, `shift` <= `target_shift`; `offset_ns` is its start
    minus the start of the common timeline (>= 0). A bin goes whole where its start falls.
    """
    starts = (np.arange(len(timeline), dtype=np.int64) << shift) + offset_ns
    folded = np.zeros_like(timeline)
    place = np.minimum(starts >> target_shift, len(timeline) - 1)
    np.add.at(folded, place, timeline)
    return folded
