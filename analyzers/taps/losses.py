"""What the books of the marking kernel say about losses, tap by tap; the kernel writes them."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from fabricscope.analyzers.taps.layout import (
    EXAMPLES,
    LOSS_TAPS,
    MAX_TAPS,
    TOTALS,
    State,
)

_LARGEST_FRAME_BYTES: Final = 9_216
"""A larger TCP payload never was a packet on a wire: it was cut or joined by a network card."""
_SHARE: Final = 2 / 3
"""Least share of a flow direction that a tap must see before what is missing counts as lost: a
flow sprayed over two paths shows half of itself at a tap of one of them."""
_MOST_EXAMPLES: Final = 32


@dataclass(frozen=True, slots=True)
class Witness:
    """A packet that a tap missed, where another tap saw it."""

    tap: int
    frame: int


@dataclass(slots=True)
class TapLosses:
    """Packets that must have passed a tap and were not captured there."""

    resent: int = 0  # the sender sent them again: lost in the network
    not_resent: int = 0  # nobody missed them: lost by this tap's collector
    absent: int = 0  # of a flow that took another path for a while
    unjudged: int = 0  # of flows of which the tap saw too little, or that cards re-segmented
    examples: list[Witness] = field(default_factory=list)


def judge(state: State) -> list[TapLosses]:
    """Return the losses of the first LOSS_TAPS taps after the kernel's `finish`."""
    flows = int(state.totals[TOTALS.flows])
    seen = state.seen[:flows]
    lost = state.lost[:flows]
    resent = state.lost_resent[:flows]
    largest = state.largest[:flows]
    # Only taps that saw a good part of the flow say how large its packets are.
    substantial = (seen > 0) & (seen >= _SHARE * (seen + lost))
    top = np.where(seen > 0, largest, 0).max(axis=1, initial=0)
    low = np.where(substantial, largest, top[:, None]).min(axis=1, initial=1 << 40)
    resegmented = (top > _LARGEST_FRAME_BYTES) | (top * 4 > low * 5)
    judged = substantial & ~resegmented[:, None]
    results = []
    for tap in range(LOSS_TAPS):
        mine = judged[:, tap]
        losses = TapLosses(
            resent=int(resent[mine, tap].sum()),
            not_resent=int((lost - resent)[mine, tap].sum()),
            absent=int(state.absent[:flows][seen[:, tap] > 0, tap].sum()),
            unjudged=int(lost[(seen[:, tap] > 0) & ~mine, tap].sum()),
        )
        for flow in np.flatnonzero(mine & (lost[:, tap] > 0)).tolist():
            count = min(int(state.example_counts[flow, tap]), int(lost[flow, tap]), EXAMPLES)
            for packed in state.examples[flow, tap, :count].tolist():
                if len(losses.examples) < _MOST_EXAMPLES:
                    losses.examples.append(Witness(packed % MAX_TAPS, packed // MAX_TAPS))
        results.append(losses)
    return results
