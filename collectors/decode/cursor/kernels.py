"""Bounds of the packet under decoding.

`fields` is the row of int64 slots of `fabricscope.collectors.decode.layout`, owned by `decode`.
"""

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.decode.compiled import inlined, kernel
from fabricscope.collectors.decode.layout import (
    END,
    EXCUSED,
    FIRST_IP,
    FLAGS,
    LEVELS,
    LIMIT,
    MAX_LEVELS,
    OFFSET,
    OUTER_IP,
    TUNNEL_IDS_HIGH,
    TUNNEL_IDS_LOW,
    TUNNEL_KINDS,
)
from fabricscope.records import (
    FLAG_HEADER_CUT,
    FLAG_MALFORMED,
    FLAG_TOO_DEEP,
    FLAG_TRUNCATED,
)


@inlined
def fits(fields: NDArray[np.int64], size_bytes: int) -> bool:
    """Say whether `size_bytes` at the cursor were captured and belong to the packet."""
    stop = fields[OFFSET] + size_bytes
    return bool(stop <= fields[END] and stop <= fields[LIMIT])


@inlined
def has(fields: NDArray[np.int64], size_bytes: int) -> bool:
    """Say whether a header of `size_bytes` at the cursor can be read; flag the packet if not."""
    stop = fields[OFFSET] + size_bytes
    if stop <= fields[END] and stop <= fields[LIMIT]:
        return True
    overrun(fields, stop)
    return False


@kernel
def overrun(fields: NDArray[np.int64], stop: int) -> None:
    """Flag a header up to index `stop`: too long for the packet, or not captured."""
    if stop > fields[LIMIT]:
        fields[FLAGS] |= FLAG_MALFORMED
    else:
        fields[FLAGS] |= FLAG_HEADER_CUT


@kernel
def skip(fields: NDArray[np.int64], size_bytes: int) -> bool:
    """Move past a header whose fixed part was read; its variable part may be cut.

    Returns whether all of it was captured. The payload's length stays right either way: where
    the rest of the header was not captured, the cursor stops at the end of the capture.
    """
    stop = fields[OFFSET] + size_bytes
    if stop <= fields[END] and stop <= fields[LIMIT]:
        fields[OFFSET] = stop
        return True
    if stop > fields[LIMIT]:
        fields[FLAGS] |= FLAG_MALFORMED
        fields[LIMIT] = fields[OFFSET]
        return False
    fields[FLAGS] |= FLAG_HEADER_CUT
    payload_length = fields[LIMIT] - stop
    fields[OFFSET] = fields[END]
    fields[LIMIT] = fields[END] + payload_length
    return False


@inlined
def narrow(fields: NDArray[np.int64], limit: int) -> None:
    """Believe a header that says the packet ends at `limit`, an index into the view.

    A claim beyond what the outer headers and the wire leave is kept, since it is what the sender
    sent, and flagged: as truncated where a mirror or a fragment explains it, else as malformed.
    """
    if limit > fields[LIMIT]:
        fields[FLAGS] |= FLAG_TRUNCATED if fields[EXCUSED] != 0 else FLAG_MALFORMED
    fields[LIMIT] = limit


@kernel
def enter_tunnel(fields: NDArray[np.int64], kind: np.int64, identifier: int) -> bool:
    """Note one more tunnel level of `kind` (index into TUNNELS) with its `identifier`.

    Returns False, and flags the packet, where it is nested deeper than the decoder follows.
    """
    level = fields[LEVELS]
    if level >= MAX_LEVELS:
        fields[FLAGS] |= FLAG_TOO_DEEP
        return False
    fields[LEVELS] = level + 1
    if level == 0:
        fields[TUNNEL_IDS_LOW] |= identifier
    elif level == 1:
        fields[TUNNEL_IDS_LOW] |= identifier << 32
    elif level == 2:
        fields[TUNNEL_IDS_HIGH] |= identifier
    elif level == 3:
        fields[TUNNEL_IDS_HIGH] |= identifier << 32
    if level < 4:
        fields[TUNNEL_KINDS] |= kind << (8 * level)
    if fields[OUTER_IP] < 0:
        fields[OUTER_IP] = fields[FIRST_IP]
    return True
