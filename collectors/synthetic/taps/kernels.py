"""Counting what a tap saw, flow by flow, in the order of the capture."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fabricscope.collectors.synthetic import tables as t
from fabricscope.collectors.synthetic.tables import Table


@njit(cache=True, nogil=True)
def count_rows(
    rows: Table,
    flows: Table,
    tasks: Table,
    counts: Table,
    seen: NDArray[np.uint8],
    spans: NDArray[np.int64],
    opcodes: NDArray[np.int64],
    again: NDArray[np.uint8],
) -> None:
    """Add rows to `counts` (a row a flow), `spans`, `opcodes`; mark retransmissions in `again`.

    `seen` (uint8, a bit a packet) remembers which packets have been at this tap: those of a flow
    from bit `data_base` on, responses that travel on it from `response_base` on. `spans` (spans,
    2) is int64 nanoseconds of the simulation, -1 where nothing was seen; `opcodes` int64 (256);
    `again` uint8, a cell a row.
    """
    for i in range(rows.shape[0]):
        row = rows[i]
        if row.kind >= t.BLOB:
            continue
        count = counts[row.flow]
        count.packets += 1
        opcodes[row.opcode] += 1
        if count.first_ns < 0:
            count.first_ns = row.time_ns
        count.last_ns = row.time_ns
        if row.copied == 1:
            count.duplicates += 1
            continue
        if row.task >= 0 and row.kind != t.CNP and tasks[row.task].span >= 0:
            span = tasks[row.task].span
            if spans[span, 0] < 0 and row.kind == t.DATA:
                spans[span, 0] = row.time_ns
            spans[span, 1] = row.time_ns
        if row.kind != t.DATA and row.kind != t.RESPONSE:
            asked = counts[flows[row.flow].reverse]
            if row.kind == t.ACK:
                asked.acks += 1
            elif row.kind == t.NAK:
                asked.naks += 1
            elif row.kind == t.RNR:
                asked.rnr_naks += 1
            else:
                asked.cnps += 1
            continue
        count.data_packets += 1
        if row.ecn > 0:
            count.ecn_capable += 1
        if row.ecn == 3:
            count.ce += 1
        if row.index < 0:
            # A management datagram: it is no part of any sequence.
            count.messages += 1
            count.payload_bytes += row.payload_bytes
            continue
        response = row.kind == t.RESPONSE
        bit = row.index + (count.response_base if response else count.data_base)
        if (seen[bit >> 3] >> (bit & 7)) & 1:
            count.retransmissions += 1
            again[i] = 1
            continue
        seen[bit >> 3] |= 1 << (bit & 7)
        count.payload_bytes += row.payload_bytes
        if row.tail == 0:
            count.messages += 1
        highest = count.response_highest if response else count.highest
        if row.index < highest:
            count.reordered += 1
            count.largest_displacement = max(count.largest_displacement, highest - row.index)
        elif response:
            count.response_highest = row.index
        else:
            count.highest = row.index
