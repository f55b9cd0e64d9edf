"""Cuts packets into transfers: RDMA messages, and TCP writes between pauses.

Bytes come from PSNs and TCP sequence numbers, so that what the mirror missed is counted too.
`channel` is a `layout.CHANNEL_DTYPE` record, `state` a `layout.TransferState`.
"""

import numpy as np
from numba import njit

from fabricscope.analyzers.collectives.layout import (
    ACK_PAUSE_NS,
    CREDIT_BYTES,
    CURSOR_CHANNELS,
    CURSOR_TRANSFERS,
    HOLE_LIMIT_BYTES,
    HOLE_LIMIT_PACKETS,
    KIND_ACK,
    KIND_CONTROL,
    KIND_DATA,
    KIND_IMMEDIATE,
    MAX_REPEATED,
    SMALL_TCP_BYTES,
    TCP_PAUSE_NS,
)
from fabricscope.records import FLAG_DUPLICATE, FLAG_LATER_FRAGMENT

_TCP = 6
_PUSH = 8
_SYN = 2


@njit(cache=True, nogil=True, _nrt=False)
def _open_channel(state, packets, row, qp):
    """Return the number of a new channel for the sender of packet `row`, -1 when none is left."""
    number = state.cursor[CURSOR_CHANNELS]
    if number >= state.channels.shape[0]:
        state.counters[0] += 1
        return np.int64(-1)
    state.cursor[CURSOR_CHANNELS] = number + 1
    channel = state.channels[number]
    channel.src_hi = packets.src_hi[row]
    channel.src_lo = packets.src_lo[row]
    channel.dst_hi = packets.dst_hi[row]
    channel.dst_lo = packets.dst_lo[row]
    channel.src_port = packets.src_port[row]
    channel.dst_port = packets.dst_port[row]
    channel.qp = qp
    channel.place = -1
    channel.next = -1
    channel.expected = -1
    return number


@njit(cache=True, nogil=True, _nrt=False)
def _append(state, number, start_ns, end_ns, size, seen, kind, psn):
    """Write a transfer; return its row, -1 where past the bound it is only counted."""
    place = state.cursor[CURSOR_TRANSFERS]
    if place >= state.transfers.shape[0]:
        state.counters[1] += 1
        return np.int64(-1)
    state.cursor[CURSOR_TRANSFERS] = place + 1
    transfer = state.transfers[place]
    transfer.start_ns = start_ns
    transfer.end_ns = end_ns
    transfer.passed_ns = end_ns
    transfer.bytes = size
    transfer.channel = number
    transfer.packets = seen
    transfer.psn = psn
    transfer.before = -1
    transfer.kind = kind
    return place


@njit(cache=True, nogil=True, _nrt=False)
def _append_data(state, number, start_ns, end_ns, size, seen, kind, psn):
    """Write a transfer of data, linked with the one before on its channel."""
    channel = state.channels[number]
    before = channel.place
    channel.place = _append(state, number, start_ns, end_ns, size, seen, kind, psn)
    if channel.place >= 0:
        state.transfers[channel.place].before = before


@njit(cache=True, nogil=True, _nrt=False)
def close_transfer(state, number, immediate):
    """End the transfer under way on a channel, if there is one."""
    channel = state.channels[number]
    if not channel.open:
        return
    channel.open = 0
    size = channel.bytes
    if channel.expected >= 0:
        size = channel.expected
    channel.expected = -1
    if size == 0:
        # With adaptive routing the immediate comes in an empty WRITE behind the bulk.
        if immediate and channel.place >= 0 and state.transfers[channel.place].kind == KIND_DATA:
            transfer = state.transfers[channel.place]
            transfer.end_ns = max(transfer.end_ns, channel.end_ns)
            transfer.passed_ns = channel.end_ns
            transfer.kind = KIND_IMMEDIATE
            transfer.psn = (channel.next - 1) & 0xFFFFFF
        return
    channel.last_bytes = size
    kind = KIND_DATA
    if immediate:
        kind = KIND_IMMEDIATE
    elif channel.qp >= 0 and size <= CREDIT_BYTES:
        kind = KIND_CONTROL
    psn = (channel.next - 1) & 0xFFFFFF
    _append_data(state, number, channel.start_ns, channel.end_ns, size, channel.seen, kind, psn)


@njit(cache=True, nogil=True, _nrt=False)
def close_acks(state, number):
    """End the train of acknowledgements on a channel, if there is one."""
    channel = state.channels[number]
    if channel.ack_end_ns:
        _append(
            state,
            number,
            channel.ack_start_ns,
            channel.ack_end_ns,
            0,
            0,
            KIND_ACK,
            channel.ack_psn,
        )
        channel.ack_end_ns = 0


@njit(cache=True, nogil=True, _nrt=False)
def _follow_ack(state, number, now, psn):
    """Advance a train of acknowledgements."""
    channel = state.channels[number]
    if now - channel.ack_end_ns > ACK_PAUSE_NS:
        close_acks(state, number)
        channel.ack_start_ns = now
    channel.ack_end_ns = now
    channel.ack_psn = psn


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def _is_behind(psn, other):
    """Tell whether `psn` comes after `other` in the order of 24-bit numbers."""
    return 0 < (psn - other) & 0xFFFFFF < 0x800000


@njit(cache=True, nogil=True, _nrt=False)
def _follow_repetition(state, number, now, psn):
    """Prolong the transfer that a repeated packet belongs to.

    The receiver has it only now, whatever the tap saw before.
    """
    channel = state.channels[number]
    place = np.int64(channel.place)
    if channel.open and (place < 0 or _is_behind(psn, np.int64(state.transfers[place].psn))):
        channel.end_ns = now
        return
    if place < 0:
        return
    for _ in range(MAX_REPEATED):
        before = np.int64(state.transfers[place].before)
        if before < 0 or _is_behind(psn, np.int64(state.transfers[before].psn)):
            break
        place = before
    state.transfers[place].end_ns = now


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def _begin(channel, now):
    channel.open = 1
    channel.start_ns = now
    channel.end_ns = now
    channel.bytes = 0
    channel.seen = 0
    channel.expected = -1


@njit(cache=True, nogil=True, _nrt=False)
def _follow_message(state, number, now, operation, psn, payload, dma_length):
    """Advance a queue pair by a SEND or WRITE packet."""
    channel = state.channels[number]
    missed = np.int64(0)
    if channel.next >= 0:
        missed = (psn - channel.next) & 0xFFFFFF
        if missed >= 0x800000:
            channel.resent += 1
            _follow_repetition(state, number, now, psn)
            return
        if missed > HOLE_LIMIT_PACKETS:
            close_transfer(state, number, False)
            missed = np.int64(0)
    channel.packets += 1
    if payload > channel.full:
        channel.full = payload
    first = operation == 0 or operation == 6
    only = operation == 4 or operation == 5 or operation == 10 or operation == 11 or operation == 23
    if missed:
        channel.lost += missed
        state.counters[3] += missed
    if first or only:
        start_ns, end_ns = channel.start_ns, channel.end_ns
        if channel.open:
            # Its Last was missed; a WRITE has announced its size, a SEND is counted by PSNs.
            rest = missed * channel.full
            if channel.expected >= 0:
                rest = channel.bytes + rest - channel.expected
            else:
                channel.bytes += rest
                rest = 0
            missed = np.int64(max(rest, 0) // max(channel.full, 1))
            channel.next = psn - missed
            close_transfer(state, number, True)
        _begin(channel, now)
        if missed:
            # Whole messages are missing: as large as the one before, if that was a single packet.
            size = np.int64(channel.full)
            if 0 < channel.last_bytes < size:
                size = channel.last_bytes
            if size > CREDIT_BYTES:
                # Sent some time between those before and behind it.
                middle = max((start_ns + now) // 2, end_ns + 1)
                size *= missed
                last = (psn - 1) & 0xFFFFFF
                _append_data(state, number, middle, end_ns, size, 0, KIND_IMMEDIATE, last)
        # Of packets cut short of the RETH the length is 0: PSNs count their bytes.
        if dma_length > 0 and (operation == 6 or operation == 10 or operation == 11):
            channel.expected = dma_length
    elif not channel.open:
        _begin(channel, now)
        channel.bytes = missed * channel.full
    else:
        whole = channel.bytes + missed * channel.full + payload
        if channel.expected >= 0 and whole > channel.expected:
            # The first packets of the next message were missed too; the last one of this is short.
            missed = np.int64(max(whole - payload - channel.expected, 0) // max(channel.full, 1))
            channel.next = psn - missed
            close_transfer(state, number, True)
            _begin(channel, now)
            channel.bytes = missed * channel.full
        else:
            channel.bytes += missed * channel.full
    channel.bytes += payload
    channel.end_ns = now
    channel.seen += 1
    channel.next = (psn + 1) & 0xFFFFFF
    if (
        only
        or operation == 2
        or operation == 3
        or operation == 8
        or operation == 9
        or (operation == 22)
    ):
        immediate = operation == 3 or operation == 5 or operation == 9 or operation == 11
        close_transfer(state, number, immediate)


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def _continue_message(channel, now, psn, payload):
    """Advance a message by the packet that is due in its middle; tell whether it was that."""
    if channel.next != psn or not channel.open:
        return False
    if payload != channel.full:
        return False
    if 0 <= channel.expected < channel.bytes + payload:
        return False
    channel.next = (psn + 1) & 0xFFFFFF
    channel.bytes += payload
    channel.end_ns = now
    channel.seen += 1
    channel.packets += 1
    return True


@njit(cache=True, nogil=True, _nrt=False)
def _follow_segment(state, number, now, sequence, payload, tcp_flags):
    """Advance a TCP direction by a segment with payload."""
    channel = state.channels[number]
    missed = np.int64(0)
    if channel.next >= 0 and not tcp_flags & _SYN:
        missed = (sequence - channel.next) & 0xFFFFFFFF
        if missed >= 0x80000000:
            missed -= np.int64(0x100000000)
        if missed > HOLE_LIMIT_BYTES or missed < -HOLE_LIMIT_BYTES:
            missed = np.int64(0)
    if missed < 0:
        channel.resent += 1
        if missed + payload <= 0:
            if channel.open:
                channel.end_ns = now
            return
    channel.next = (sequence + payload) & 0xFFFFFFFF
    new = payload + missed
    channel.packets += 1
    if missed > 0:
        channel.lost += missed
        state.counters[4] += missed
    state.counters[5] += new
    full = payload >= channel.full and payload > SMALL_TCP_BYTES
    if full:
        channel.full = payload
    if new <= SMALL_TCP_BYTES and not channel.was_full:
        close_transfer(state, number, False)
        _append(state, number, now, now, new, 1, KIND_CONTROL, 0)
        return
    if channel.open and now - channel.end_ns > TCP_PAUSE_NS:
        close_transfer(state, number, False)
    if not channel.open:
        _begin(channel, now)
    channel.bytes += new
    channel.end_ns = now
    channel.seen += 1
    channel.was_full = full
    if not full and tcp_flags & _PUSH:
        close_transfer(state, number, False)


@njit(cache=True, nogil=True, _nrt=False)
def follow_transfers(state, packets, flow, side, queue_pair):
    """Cut a batch of packets into transfers.

    packets: `records.Packets`; flow (int64), side (uint8), queue_pair (int64): slots of each row,
    -1 for none, as the flow and the queue-pair table wrote them.
    """
    for row in range(packets.time_ns.shape[0]):
        slot = queue_pair[row]
        if 0 <= slot < state.qp_channels.shape[0] and not packets.flags[row] & FLAG_DUPLICATE:
            # Most packets are the next ones in the middle of a message.
            operation = packets.opcode[row]
            if operation == 7 or operation == 1:
                number = np.int64(state.qp_channels[slot]) - 1
                if number >= 0 and _continue_message(
                    state.channels[number],
                    packets.time_ns[row],
                    np.int64(packets.psn[row]),
                    np.int64(packets.payload_length[row]),
                ):
                    continue
        if packets.flags[row] & (FLAG_DUPLICATE | FLAG_LATER_FRAGMENT):
            continue
        if slot >= 0:
            opcode = np.int64(packets.opcode[row])
            operation = opcode & 31
            other = operation > 11 and operation != 17 and operation != 22 and operation != 23
            if opcode == 0x81 or other:
                continue
            if slot >= state.qp_channels.shape[0]:
                continue
            number = np.int64(state.qp_channels[slot]) - 1
            if number < 0:
                number = _open_channel(state, packets, row, slot)
                if number < 0:
                    continue
                state.qp_channels[slot] = number + 1
            if operation == 17:
                _follow_ack(state, number, packets.time_ns[row], np.int64(packets.psn[row]))
                continue
            _follow_message(
                state,
                number,
                packets.time_ns[row],
                operation,
                np.int64(packets.psn[row]),
                np.int64(packets.payload_length[row]),
                np.int64(packets.dma_length[row]),
            )
        elif packets.ip_protocol[row] == _TCP and flow[row] >= 0:
            payload = np.int64(packets.payload_length[row])
            if payload == 0:
                continue
            place = 2 * flow[row] + np.int64(side[row])
            number = np.int64(state.flow_channels[place]) - 1
            if number < 0:
                number = _open_channel(state, packets, row, -1)
                if number < 0:
                    continue
                state.flow_channels[place] = number + 1
            _follow_segment(
                state,
                number,
                packets.time_ns[row],
                np.int64(packets.tcp_seq[row]),
                payload,
                np.int64(packets.tcp_flags[row]),
            )
