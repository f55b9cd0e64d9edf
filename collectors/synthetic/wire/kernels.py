"""Packet rows to capture records: lengths, headers, IPv4 checksum, TCP checksum, ICRC.

Rows are `tables.ROW`. Templates carry everything up to the transport header; a template's
numbers stand in `layout` (int64, a row a template, columns LAYOUT_* and then pairs of patch kind
and offset, innermost first). Nothing here knows where templates come from.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fabricscope.collectors.synthetic import tables as t
from fabricscope.collectors.synthetic.tables import Row, Table

LAYOUT_LENGTH = 0
LAYOUT_IP = 1  # offset of the innermost network header
LAYOUT_VERSION = 2  # 4, 6, or 1 for the GRH of RoCE v1; 0 for frames without one
LAYOUT_PATCHES = 3  # number of patches
LAYOUT_FIRST = 4
PATCH_IPV4 = 1
PATCH_IPV6 = 2
PATCH_UDP = 3
PATCH_SEQUENCE = 4
RECORD_HEADER = 16
SCRATCH_BYTES = 640

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint32]
Integers = NDArray[np.int64]


@njit(cache=True, nogil=True)
def crc_bytes(state: int, data: Bytes, start: int, stop: int, table: Words) -> int:
    """Advance a reflected CRC-32 state over `data[start:stop]`; `table` has 256 words."""
    for position in range(start, stop):
        state = int(table[(state ^ int(data[position])) & 0xFF]) ^ (state >> 8)
    return state


@njit(cache=True, nogil=True)
def shift_table(size_bytes: int, table: Words, out: Words) -> None:
    """Fill `out` (4, 256): what each byte of a CRC state becomes behind `size_bytes` zeros."""
    basis = np.zeros(32, np.int64)
    for bit in range(32):
        state = np.int64(1) << bit
        for _ in range(size_bytes):
            state = np.int64(table[state & 0xFF]) ^ (state >> 8)
        basis[bit] = state
    for byte in range(4):
        for value in range(256):
            word = np.int64(0)
            for bit in range(8):
                if (value >> bit) & 1:
                    word ^= basis[8 * byte + bit]
            out[byte, value] = word


@njit(cache=True, nogil=True)
def extension_bytes(opcode: int) -> int:
    """Return the bytes of the headers between BTH and payload."""
    if opcode == 0x81:
        return 16
    operation = opcode & 31
    size = 8 if opcode >> 5 == t.UD else 0
    if operation in (6, 10, 11, 12):
        size += 16
    if operation in (3, 5, 9, 11):
        size += 4
    if operation in (13, 15, 16, 17, 18):
        size += 4
    if operation == 18:
        size += 8
    if operation in (19, 20):
        size += 28
    return size


@njit(cache=True, nogil=True)
def template_of(kind: int, flow: int, blob: int) -> int:
    """Return the template: two a flow (ordinary, CNP), then those that rows name."""
    if kind >= t.BLOB:
        return blob
    return 2 * flow + (1 if kind == t.CNP else 0)


@njit(cache=True, nogil=True)
def wire_lengths(rows: Table, layout: Integers, out: Integers) -> None:
    """Write each row's length on the wire, without FCS, to `out`."""
    for i in range(rows.shape[0]):
        row = rows[i]
        size = layout[template_of(row.kind, row.flow, row.blob), LAYOUT_LENGTH]
        if row.kind < t.BLOB:
            payload = (row.payload_bytes + 3) & ~3
            size += 12 + extension_bytes(row.opcode) + payload + 4
        else:
            size += row.payload_bytes
        out[i] = size


@njit(cache=True, nogil=True)
def put(data: Bytes, position: int, value: int, size: int) -> int:
    """Write a big-endian number of `size` bytes and return the position behind it."""
    for k in range(size):
        data[position + k] = (value >> (8 * (size - 1 - k))) & 0xFF
    return position + size


@njit(cache=True, nogil=True)
def put_rdma(data: Bytes, position: int, row: Row, flow: Row, source_qp: int) -> int:
    """Write BTH and the headers that its opcode calls for; return the payload's position."""
    opcode = row.opcode
    operation = opcode & 31
    pad = (-row.payload_bytes) & 3
    data[position] = opcode
    data[position + 1] = (0x40 if opcode != 0x81 else 0) | (pad << 4)
    put(data, position + 2, 0xFFFF, 2)
    data[position + 4] = 0x40 if row.marks & t.FLAG_BECN else 0
    put(data, position + 5, flow.dest_qp, 3)
    data[position + 8] = 0x80 if row.marks & t.FLAG_ACK_REQUEST else 0
    put(data, position + 9, row.psn, 3)
    position += 12
    if opcode == 0x81:
        return put(data, put(data, position, 0, 8), 0, 8)
    if opcode >> 5 == t.UD:
        position = put(data, position, 0x80010000 if source_qp == 1 else 0x11111111, 4)
        position = put(data, position, source_qp, 4)
    if operation in (6, 10, 11, 12):
        position = put(data, position, 0x7F0000000000 + (row.task << 12) + row.address, 8)
        position = put(data, position, 0x1000 + row.flow, 4)
        position = put(data, position, row.dma_length, 4)
    if operation in (19, 20):
        position = put(data, position, 0x7F0000000000 + 8 * row.index, 8)
        position = put(data, position, 0x1000 + row.flow, 4)
        position = put(data, position, 1, 8)
        position = put(data, position, row.index, 8)
    if operation in (13, 15, 16, 17, 18):
        position = put(data, position, row.aeth, 4)
    if operation == 18:
        position = put(data, position, row.index, 8)
    if operation in (3, 5, 9, 11):
        position = put(data, position, row.immediate, 4)
    return position


@njit(cache=True, nogil=True)
def ipv4_checksum(data: Bytes, offset: int) -> int:
    """Return the checksum of the 20-byte IPv4 header at `offset`, whose own field is skipped."""
    total = np.int64(0)
    for k in range(0, 20, 2):
        if k != 10:
            total += (np.int64(data[offset + k]) << 8) | np.int64(data[offset + k + 1])
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return int((~total) & 0xFFFF)


@njit(cache=True, nogil=True)
def put_tcp(data: Bytes, offset: int, row: Row, ip: int, version: int) -> None:
    """Fill sequence, flags and checksum of the 32-byte TCP header; its payload is zeros."""
    put(data, offset + 4, row.psn, 4)
    put(data, offset + 8, row.aeth, 4)
    data[offset + 13] = row.opcode
    put(data, offset + 16, 0, 2)
    total = np.int64(6 + 32 + row.payload_bytes)
    first = ip + 12 if version == 4 else ip + 8
    for k in range(first, ip + 20 if version == 4 else ip + 40, 2):
        total += (np.int64(data[k]) << 8) | np.int64(data[k + 1])
    for k in range(offset, offset + 32, 2):
        total += (np.int64(data[k]) << 8) | np.int64(data[k + 1])
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    put(data, offset + 16, int((~total) & 0xFFFF), 2)


@njit(cache=True, nogil=True)
def put_lengths(data: Bytes, layout: Integers, row: Row, length: int) -> None:
    """Fill lengths, identifications, checksums and ECN of all headers of the template."""
    version = layout[LAYOUT_VERSION]
    ip = layout[LAYOUT_IP]
    if version == 4:
        data[ip + 1] = (data[ip + 1] & 0xFC) | row.ecn
    elif version == 6 or version == 1:
        data[ip + 1] = (data[ip + 1] & 0xCF) | (row.ecn << 4)
    for patch in range(layout[LAYOUT_PATCHES]):
        kind = layout[LAYOUT_FIRST + 2 * patch]
        offset = layout[LAYOUT_FIRST + 2 * patch + 1]
        if kind == PATCH_IPV4:
            put(data, offset + 2, length - offset, 2)
            put(data, offset + 4, row.ip_id if offset == ip else row.mirror_sequence & 0xFFFF, 2)
            put(data, offset + 10, ipv4_checksum(data, offset), 2)
        elif kind == PATCH_IPV6:
            put(data, offset + 4, length - offset - 40, 2)
        elif kind == PATCH_UDP:
            put(data, offset + 4, length - offset, 2)
        else:
            put(data, offset, row.mirror_sequence & 0xFFFFFFFF, 4)


@njit(cache=True, nogil=True)
def icrc_state(data: Bytes, ip: int, version: int, stop: int, masked: Bytes, table: Words) -> int:
    """Return the CRC state over the invariant headers from the network header up to `stop`.

    What routers may change counts as ones (InfiniBand architecture, annexes A16 and A17), behind
    eight bytes of ones in place of the local route header. `masked` is scratch space.
    """
    size = stop - ip
    for k in range(8):
        masked[k] = 0xFF
    masked[8 : 8 + size] = data[ip:stop]
    bth = 8 + 20 if version == 4 else 8 + 40
    if version == 4:
        masked[8 + 1] = 0xFF
        masked[8 + 8] = 0xFF
        masked[8 + 10] = 0xFF
        masked[8 + 11] = 0xFF
    else:
        masked[8] |= 0x0F
        masked[8 + 1] = 0xFF
        masked[8 + 2] = 0xFF
        masked[8 + 3] = 0xFF
        masked[8 + 7] = 0xFF
    if version != 1:
        masked[bth + 6] = 0xFF
        masked[bth + 7] = 0xFF
        bth += 8
    masked[bth + 4] = 0xFF
    return crc_bytes(0xFFFFFFFF, masked, 0, 8 + size, table)


@njit(cache=True, nogil=True)
def shift_state(state: int, shifts: Words) -> int:
    """Return the CRC state behind the zeros for which `shifts` (4, 256) was made."""
    return (
        int(shifts[0, state & 0xFF])
        ^ int(shifts[1, (state >> 8) & 0xFF])
        ^ int(shifts[2, (state >> 16) & 0xFF])
        ^ int(shifts[3, (state >> 24) & 0xFF])
    )


@njit(cache=True, nogil=True)
def copy_part(out: Bytes, position: int, stop: int, data: Bytes, start: int, size: int) -> int:
    """Copy up to `size` bytes without passing `stop`; return the position behind them."""
    size = max(0, min(size, stop - position))
    out[position : position + size] = data[start : start + size]
    return position + size


@njit(cache=True, nogil=True)
def write_records(
    rows: Table,
    flows: Table,
    times_ns: Integers,
    lengths: Integers,
    snaplen: int,
    headers: Bytes,
    layout: Integers,
    pattern: Bytes,
    blobs: Bytes,
    crc_table: Words,
    size_index: Integers,
    payload_crc: Integers,
    shifts: Words,
    out: Bytes,
) -> int:
    """Write pcap records (little-endian, nanoseconds) and return the bytes used of `out`.

    `headers` (templates, bytes) and `layout` belong together; `pattern` is every payload's
    content; `blobs` (blobs, bytes) are payloads that rows name by `blob`, counted from 1;
    `size_index` leads from a padded payload size to its row in `payload_crc` (CRC state of the
    padded pattern from state 0) and `shifts`. `times_ns` since the epoch, `lengths` in bytes.
    """
    data = np.zeros(SCRATCH_BYTES, np.uint8)
    masked = np.zeros(SCRATCH_BYTES, np.uint8)
    zeros = np.zeros(4, np.uint8)
    used = 0
    for i in range(rows.shape[0]):
        row = rows[i]
        length = lengths[i]
        captured = length if snaplen == 0 else min(length, snaplen)
        seconds = times_ns[i] // 1_000_000_000
        numbers = (seconds, times_ns[i] - seconds * 1_000_000_000, captured, length)
        for field in range(4):
            for k in range(4):
                out[used + 4 * field + k] = (numbers[field] >> (8 * k)) & 0xFF
        used += RECORD_HEADER
        stop = used + captured
        number = template_of(row.kind, row.flow, row.blob)
        place = layout[number]
        size = place[LAYOUT_LENGTH]
        data[:size] = headers[number, :size]
        put_lengths(data, place, row, length)
        if row.kind >= t.BLOB:
            if row.kind == t.TCP:
                put_tcp(data, size - 32, row, place[LAYOUT_IP], place[LAYOUT_VERSION])
            used = copy_part(out, used, stop, data, 0, size)
            out[used:stop] = 0
            used = stop
            continue
        flow = flows[row.flow]
        end = put_rdma(data, size, row, flow, flows[flow.reverse].dest_qp)
        used = copy_part(out, used, stop, data, 0, end)
        payload = row.payload_bytes
        if row.blob > 0:
            used = copy_part(out, used, stop, blobs[row.blob - 1], 0, payload)
        else:
            used = copy_part(out, used, stop, pattern, 0, payload)
        used = copy_part(out, used, stop, zeros, 0, (-payload) & 3)
        if captured == length:
            version = place[LAYOUT_VERSION]
            state = icrc_state(data, place[LAYOUT_IP], version, end, masked, crc_table)
            if row.blob > 0:
                state = crc_bytes(state, blobs[row.blob - 1], 0, payload, crc_table)
            elif payload > 0:
                known = size_index[payload]
                state = shift_state(state, shifts[known]) ^ payload_crc[known]
            state = (~state) & 0xFFFFFFFF
            for k in range(4):
                out[used + k] = (state >> (8 * k)) & 0xFF
            used += 4
    return used
