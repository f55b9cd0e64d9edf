"""Kernels of the engine: choosing the packets to look at, putting heads in order, naming flows.

Arrays only. The evaluation of a message is in `matching.kernels`; the arrays are described in
`state` (owned by the engine) and `compiler` (owned by the signatures).
"""

import numpy as np
from numba import njit

from fabricscope.analyzers.dpi.heads.kernels import (
    add_datagram,
    add_segment,
    first_message,
    take_head,
)
from fabricscope.analyzers.dpi.matching.kernels import (
    FAIL,
    NO_RULE,
    PASS,
    evaluate_checks,
    match_message,
)
from fabricscope.analyzers.dpi.state import (
    COUNT_ROWS,
    HEAD_BYTES,
    MAX_PACKETS,
    NO_HEAD,
    SCRATCH_BYTES,
    STAGE_COLLECT,
    STAGE_DETAIL,
    STAGE_DONE,
    STAGE_FINISHED,
    STAGE_NEW,
    STAGE_RDMA,
    STAGE_RDMA_DONE,
    STAGE_WATCH,
    STREAM_BASE,
    STREAM_COUNT,
    STREAM_HAVE,
    STREAM_HOPELESS,
    STREAM_KNOWN,
    STREAM_TOTAL,
)
from fabricscope.records import FLAG_DUPLICATE, FLAG_FRAGMENT, PROTOCOLS

_TCP = PROTOCOLS.index("tcp")
_UDP = PROTOCOLS.index("udp")
_SCTP = PROTOCOLS.index("sctp")
_LLDP = PROTOCOLS.index("lldp")
_ROCE_V1 = PROTOCOLS.index("roce_v1")
_ROCE_V2 = PROTOCOLS.index("roce_v2")
_INFINIBAND = PROTOCOLS.index("infiniband")

NO_TRANSPORT = 255
DECIDING_SCORE = 900
REPLACING_SCORE = 920  # to take the name from a protocol that gives way
REPLY_PATIENCE = 3
RDMA_SENDS = 8

# How a flow leaves `add_packet`, and which rows `select_rows` hands to Python.
ROW_MATCH = 0
ROW_FRAGMENT = 1
ROW_CONNECT = 2
ROW_NEIGHBOUR = 3


@njit(cache=True, nogil=True, _nrt=False)
def select_rows(packets, flow, state, rows, kinds):
    """Write the rows that need a look and why (ROW_*) to `rows` and `kinds`; return their number.

    The only pass over all packets: one byte of state a packet, more only for those chosen.
    """
    count = 0
    for row in range(flow.shape[0]):
        slot = flow[row]
        stage = STAGE_NEW
        if slot >= 0:
            stage = state.stage[slot]
            if stage in (STAGE_DONE, STAGE_FINISHED):
                continue
            if stage == STAGE_RDMA_DONE and packets.dest_qp[row] != 1:
                continue
        flags = packets.flags[row]
        if flags & FLAG_DUPLICATE:
            continue
        if flags & FLAG_FRAGMENT and packets.ip_protocol[row] in (6, 17):
            rows[count], kinds[count] = row, ROW_FRAGMENT
            count += 1
            continue
        if slot < 0:
            if packets.protocol[row] == _LLDP:
                rows[count], kinds[count] = row, ROW_NEIGHBOUR
                count += 1
            continue
        kind = ROW_MATCH
        if stage == STAGE_RDMA_DONE:
            kind = ROW_CONNECT
        elif stage == STAGE_RDMA:
            if packets.dest_qp[row] == 1:
                kind = ROW_CONNECT
            elif packets.opcode[row] & 0x1F not in (0, 4, 5) or packets.payload_length[row] == 0:
                if state.seen[slot] < 255:
                    state.seen[slot] += 1
                if state.seen[slot] >= 64:
                    state.stage[slot] = STAGE_RDMA_DONE
                continue
        elif (
            stage != STAGE_NEW
            and packets.payload_length[row] == 0
            and not packets.tcp_flags[row] & 2
        ):
            continue
        rows[count], kinds[count] = row, kind
        count += 1
    return count


@njit(cache=True, nogil=True, _nrt=False)
def open_flow(packets, row, slot, side, state, tables):
    """Fill the state of a new flow from its first packet."""
    other = 1 - side
    state.seen[slot] = 0
    state.limit[slot] = MAX_PACKETS
    state.application[slot] = 0
    state.rule[slot] = NO_RULE
    state.score[slot] = 0
    state.agreed[slot] = 0
    state.request_side[slot] = 0
    state.opened[slot] = 0
    state.opened_ns[slot] = packets.time_ns[row]
    state.head[slot] = NO_HEAD
    state.ports[slot, side] = packets.src_port[row]
    state.ports[slot, other] = packets.dst_port[row]
    state.sequence[slot, 0] = 0
    state.sequence[slot, 1] = 0
    state.address[slot, 2 * side] = packets.src_hi[row]
    state.address[slot, 2 * side + 1] = packets.src_lo[row]
    state.address[slot, 2 * other] = packets.dst_hi[row]
    state.address[slot, 2 * other + 1] = packets.dst_lo[row]
    protocol = packets.protocol[row]
    if protocol == _TCP:
        state.transport[slot], state.stage[slot] = 0, STAGE_COLLECT
    elif protocol == _UDP:
        state.transport[slot], state.stage[slot] = 1, STAGE_COLLECT
    elif protocol == _SCTP:
        state.transport[slot], state.stage[slot] = 3, STAGE_COLLECT
    elif protocol in (_ROCE_V1, _ROCE_V2, _INFINIBAND):
        state.transport[slot], state.stage[slot] = 2, STAGE_RDMA
        state.sequence[slot, side] = packets.dest_qp[row]
    else:
        state.transport[slot], state.stage[slot] = NO_TRANSPORT, STAGE_DONE
    application = tables.decoded_application[protocol]
    if application == 0 and state.transport[slot] == NO_TRANSPORT:
        application = tables.ethertype_application[packets.ethertype[row]]
        if application == 0 and (packets.ethertype[row] in (0x0800, 0x86DD)):
            application = tables.ip_application[packets.ip_protocol[row]]
    if application != 0:
        state.application[slot] = application
        state.score[slot] = 990


@njit(cache=True, nogil=True, _nrt=False)
def take_best(slot, side, own, reply, previous, growing, state, pool, tables, counters):
    """Match a message that `side` sent; note the rule if it beats what the flow has.

    Returns whether more bytes or a reply could still change the result.
    """
    ports = (np.int64(state.ports[slot, 0]), np.int64(state.ports[slot, 1]))
    transport = np.int64(state.transport[slot])
    to_beat = np.int64(state.score[slot]) if state.rule[slot] != NO_RULE else np.int64(0)
    yielding = to_beat != 0 and tables.gives_way[state.application[slot]] != 0
    if yielding:
        to_beat = np.int64(REPLACING_SCORE - 1)
    rule_index, score, agreed, waiting = match_message(
        tables, transport, ports, pool.buffer, own, reply, previous, growing, to_beat, counters
    )
    if rule_index == NO_RULE:
        return waiting
    if yielding and tables.rules[rule_index, 0] == state.application[slot]:
        return waiting
    state.rule[slot] = rule_index
    state.application[slot] = tables.rules[rule_index, 0]
    state.score[slot] = score
    state.agreed[slot] = agreed
    state.request_side[slot] = side
    return waiting


@njit(cache=True, nogil=True, _nrt=False)
def name_flow(slot, side, own, previous, growing, is_first, head, state, pool, tables, counters):
    """Match a message of `side`, and as a reply to what already named the flow.

    `is_first`: it is the stream's head or the first datagram, to which a reply refers.
    """
    transport = np.int64(state.transport[slot])
    reply = first_message(pool, head, 1 - side, transport != 0)
    if state.rule[slot] != NO_RULE and state.request_side[slot] != side and not state.agreed[slot]:
        rule = tables.rules[state.rule[slot]]
        if rule[4] > rule[3]:
            nothing = (np.int64(0), np.int64(0), np.int64(0))
            answer = evaluate_checks(
                tables.conditions, rule[3], rule[4], pool.buffer, own, reply, nothing, growing,
                counters,
            )  # fmt: skip
            if answer == PASS:
                state.agreed[slot] = 1
                state.score[slot] = rule[8]
            elif answer == FAIL and state.score[slot] >= rule[7]:
                state.score[slot] = rule[7] * 3 // 4
                state.stage[slot] = STAGE_COLLECT
    if state.stage[slot] == STAGE_DETAIL:
        return
    if not is_first or pool.streams[head, side, STREAM_HOPELESS] == 0:
        waiting = take_best(
            slot, side, own, reply, previous, growing, state, pool, tables, counters
        )
        if is_first and not waiting:
            pool.streams[head, side, STREAM_HOPELESS] = 1
    # A request that means something only with its reply is looked at again when that comes.
    if (
        reply[1] > 0
        and pool.streams[head, 1 - side, STREAM_HOPELESS] == 0
        and (state.rule[slot] == NO_RULE or state.score[slot] < DECIDING_SCORE)
    ):
        nothing = (np.int64(0), np.int64(0), np.int64(0))
        take_best(slot, 1 - side, reply, own, nothing, growing, state, pool, tables, counters)


@njit(cache=True, nogil=True, _nrt=False)
def settle_flow(slot, state, tables, finished, count):
    """Move the flow on after a packet; list it in `finished` when nothing more is needed."""
    decided = state.rule[slot] != NO_RULE and state.score[slot] >= DECIDING_SCORE
    application = np.int64(state.application[slot])
    if decided and state.stage[slot] == STAGE_COLLECT and not tables.gives_way[application]:
        rule = tables.rules[state.rule[slot]]
        patience = np.int64(tables.collect[application])
        if rule[4] > rule[3] and not state.agreed[slot]:
            patience = max(patience, REPLY_PATIENCE)
        state.limit[slot] = np.uint8(min(state.seen[slot] + patience, 48))
        state.stage[slot] = STAGE_DETAIL
    if state.seen[slot] >= state.limit[slot]:
        state.stage[slot] = STAGE_FINISHED
        finished[count] = slot
        count += 1
    return count


@njit(cache=True, nogil=True, _nrt=False)
def add_payload(view, offset, have, total, sequence, slot, side, state, pool, tables, finished,
                count, counters):  # fmt: skip
    """Take in the payload of one packet; return the number of flows in `finished`."""
    head = np.int64(state.head[slot])
    if head < 0:
        head = take_head(slot, state, pool, counters)
        for end in range(2):
            if state.transport[slot] == 0 and state.opened[slot] >> end & 1:
                pool.streams[head, end, STREAM_KNOWN] = 1
                pool.streams[head, end, STREAM_BASE] = np.int64(state.sequence[slot, end])
    state.seen[slot] += 1
    counters[COUNT_ROWS] += 1
    start = (head * 2 + side) * HEAD_BYTES
    scratch = np.int64(pool.buffer.shape[0] - HEAD_BYTES)
    stream = pool.streams[head, side]
    # Truths as values: Numba would compile all of matching once for each constant.
    is_stream = state.transport[slot] == 0
    is_datagram = not is_stream
    if is_stream:
        grew = add_segment(view, offset, have, total, sequence, stream, pool.buffer, start)
        nothing = (np.int64(0), np.int64(0), np.int64(0))
        if grew:
            own = (start, stream[STREAM_HAVE], stream[STREAM_TOTAL])
            name_flow(
                slot, side, own, nothing, is_stream, is_stream, head, state, pool, tables, counters
            )
        # A capture may begin inside a stream, and a generic opening may come before what tells:
        # while a flow has no certain name, a message may start in any segment.
        if (
            state.seen[slot] > 1
            and state.stage[slot] == STAGE_COLLECT
            and (state.rule[slot] == NO_RULE or state.score[slot] < DECIDING_SCORE)
        ):
            kept = min(have, SCRATCH_BYTES)
            for index in range(kept):
                pool.buffer[scratch + index] = view[offset + index]
            own = (scratch, kept, total)
            name_flow(
                slot, side, own, nothing, is_datagram, is_datagram, head, state, pool, tables,
                counters,
            )  # fmt: skip
    else:
        own, previous = add_datagram(view, offset, have, total, stream, pool.buffer, start, scratch)
        is_first = stream[STREAM_COUNT] == 1 and previous[2] == 0
        name_flow(
            slot, side, own, previous, is_stream, is_first, head, state, pool, tables, counters
        )
    return settle_flow(slot, state, tables, finished, count)


@njit(cache=True, nogil=True, _nrt=False)
def add_rows(view, packets, flow, side, rows, kinds, selected, state, pool, tables, finished,
             watched, counters):  # fmt: skip
    """Look at the selected rows; return the numbers of `finished` slots and `watched` rows."""
    count = 0
    watching = 0
    for index in range(selected):
        row = rows[index]
        slot = flow[row]
        if slot < 0:
            continue
        if state.stage[slot] == STAGE_NEW:
            open_flow(packets, row, slot, np.int64(side[row]), state, tables)
            if packets.protocol[row] == _LLDP:
                kinds[index] = ROW_NEIGHBOUR
            elif state.stage[slot] == STAGE_RDMA and packets.dest_qp[row] == 1:
                kinds[index] = ROW_CONNECT
        stage = state.stage[slot]
        if stage == STAGE_FINISHED and tables.watch[state.application[slot]] != 0:
            stage = STAGE_WATCH  # it becomes that after the batch; what follows in it counts
        if kinds[index] != ROW_MATCH or stage in (STAGE_DONE, STAGE_FINISHED):
            continue
        if state.transport[slot] == 0 and packets.tcp_flags[row] & 2:
            state.opened[slot] |= np.uint8(1 << side[row])
            following = (np.int64(packets.tcp_seq[row]) + 1) & 0xFFFFFFFF
            state.sequence[slot, side[row]] = np.uint32(following)
        header = packets.payload_offset[row] - packets.packet_offset[row]
        total = np.int64(packets.payload_length[row])
        have = min(total, np.int64(packets.captured_length[row]) - header)
        if have <= 0:
            continue
        if stage == STAGE_WATCH:
            watched[watching] = row
            watching += 1
            continue
        if stage == STAGE_RDMA and packets.opcode[row] & 0x1F not in (0, 4, 5):
            continue
        sequence = np.int64(packets.tcp_seq[row])
        if packets.tcp_flags[row] & 2:
            sequence = (sequence + 1) & 0xFFFFFFFF
        count = add_payload(
            view, packets.payload_offset[row], have, total, sequence, slot, np.int64(side[row]),
            state, pool, tables, finished, count, counters,
        )  # fmt: skip
        if state.stage[slot] in (STAGE_DETAIL, STAGE_FINISHED) and (
            tables.watch[state.application[slot]] != 0
        ):
            watched[watching] = row
            watching += 1
        if state.stage[slot] == STAGE_RDMA and (
            state.seen[slot] >= RDMA_SENDS or state.rule[slot] != NO_RULE
        ):
            state.stage[slot] = STAGE_FINISHED
            finished[count] = slot
            count += 1
    return count, watching
