"""The FPDU walker: bytes of one direction in order, in any pieces, with or without markers.

Sources: RFC 5044 (MPA), RFC 5041 (DDP), RFC 5040 (RDMAP), RFC 7306 (immediate data, atomics).
`state` is the analyzer's `IwarpState`, `s` a row of its `streams`; `view` is the caller's uint8.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fabricscope.analyzers.iwarp import layout as at
from fabricscope.analyzers.iwarp.crc32c.kernels import crc32c_update
from fabricscope.analyzers.iwarp.layout import INLINED, INNER, IwarpState


@njit(**INNER)
def big_endian(buffer: NDArray[np.uint8], offset: int, count: int) -> np.int64:
    """Return `count` (at most 8) bytes as an int64; eight bytes may turn out negative."""
    value = np.int64(0)
    for k in range(count):
        value = (value << 8) | np.int64(buffer[offset + k])
    return value


@njit(**INNER)
def bucket_of(duration_ns: int) -> int:
    """Return the histogram bucket: exact below 16 ns, then sixteen buckets an octave."""
    if duration_ns < 16:
        return max(duration_ns, 0)
    octave = 0
    while (duration_ns >> octave) >= 32:
        octave += 1
    return min(16 * octave + (duration_ns >> octave), at.BUCKETS - 1)


@njit(**INLINED)
def begin_fpdu(state: IwarpState, s: int) -> None:
    """Expect the first byte of an FPDU."""
    fields = state.streams[s]
    fields[at.FPDU_SEEN] = 0
    fields[at.FPDU_SIZE] = 0
    fields[at.HEADER_SEEN] = 0
    fields[at.REGISTER] = 0xFFFFFFFF
    fields[at.INTACT] = 1
    fields[at.RECEIVED_CRC] = 0


@njit(**INNER)
def note_frame(state: IwarpState, s: int, kind: int, count: int, frame: int) -> None:
    """Keep the frame number of the `count`th (from 1) event of a kind while there is room."""
    if count <= at.MAX_NOTABLE:
        state.notable[s, kind, count - 1] = frame


@njit(**INNER)
def abandon(state: IwarpState, s: int, phase: int) -> None:
    """Leave the FPDU stream until a segment begins with a plausible header again."""
    fields = state.streams[s]
    if fields[at.PHASE] != at.LOST:  # a gap outweighs a cut that preceded it
        fields[at.PHASE] = phase
    fields[at.AFTER_GAP] = 1
    fields[at.MESSAGE_INTACT] = 0
    begin_fpdu(state, s)


@njit(**INNER)
def plausible(buffer: NDArray[np.uint8], offset: int, captured: int) -> bool:
    """Tell whether an FPDU header may stand at `offset`; `captured` >= 4 bytes are there."""
    ulpdu = big_endian(buffer, offset, 2)
    control = np.int64(buffer[offset + 2])
    rdmap = np.int64(buffer[offset + 3])
    opcode = rdmap & 0x0F
    tagged = control >> 7
    if control & 0x3F != 1 or rdmap & 0xF0 != 0x40 or opcode > 11:
        return False
    if tagged != np.int64(opcode == 0 or opcode == 2):
        return False
    if ulpdu < (14 if tagged else 18):
        return False
    if tagged or captured < 12:
        return True
    queue = big_endian(buffer, offset + 8, 4)
    expected = 0
    if opcode == 1 or opcode == 10:
        expected = 1
    elif opcode == 7:
        expected = 2
    elif opcode == 11:
        expected = 3
    return bool(queue == expected)


@njit(**INNER)
def match_read(state: IwarpState, s: int, time_ns: int) -> None:
    """Pair the read response that ended on `s` with one of the other side's requests.

    The oldest request whose sink fits is taken; if none fits, the oldest, since responses come in
    the order of the requests and some software writes the request's fields in host byte order.
    """
    peer = s ^ 1
    response = state.streams[s]
    requests = state.streams[peer]
    if requests[at.READ_COUNT] == 0:
        response[at.UNMATCHED_RESPONSES] += 1
        return
    skipped = 0
    for k in range(requests[at.READ_COUNT]):
        read = state.reads[peer, (requests[at.READ_HEAD] + k) % at.MAX_READS]
        distance = response[at.MESSAGE_OFFSET] - read[2]
        if read[1] == response[at.MESSAGE_STAG] and 0 <= distance <= read[3]:
            skipped = k
            break
    read = state.reads[peer, (requests[at.READ_HEAD] + skipped) % at.MAX_READS]
    requests[at.READ_HEAD] = (requests[at.READ_HEAD] + skipped + 1) % at.MAX_READS
    requests[at.READ_COUNT] -= skipped + 1
    requests[at.UNANSWERED_READS] += skipped
    latency = max(time_ns - read[0], 0)
    state.read_times[peer, bucket_of(latency)] += 1
    state.longest_ns[peer, 0] = max(state.longest_ns[peer, 0], latency)


@njit(**INNER)
def remember_read(state: IwarpState, s: int) -> None:
    """Queue the read request whose header is in `state.header[s]` until its response ends."""
    fields = state.streams[s]
    if fields[at.READ_COUNT] == at.MAX_READS:
        fields[at.READ_HEAD] = (fields[at.READ_HEAD] + 1) % at.MAX_READS
        fields[at.READ_COUNT] -= 1
        fields[at.UNANSWERED_READS] += 1
    read = state.reads[s, (fields[at.READ_HEAD] + fields[at.READ_COUNT]) % at.MAX_READS]
    read[0] = fields[at.FPDU_TIME]
    read[1] = -1  # any STag fits when the snap length cut the request
    if fields[at.HEADER_SEEN] >= 48:
        read[1] = big_endian(state.header[s], 20, 4)
        read[2] = big_endian(state.header[s], 24, 8)
        read[3] = big_endian(state.header[s], 32, 4)
    fields[at.READ_COUNT] += 1


@njit(**INLINED)
def end_message(state: IwarpState, s: int, total: int, time_ns: int, frame: int) -> None:
    """Count the message whose last FPDU ended; `total` is its size in bytes."""
    fields = state.streams[s]
    opcode = fields[at.MESSAGE_OPCODE]
    state.operations[s, opcode] += 1
    if fields[at.MESSAGE_INTACT]:
        fields[at.MESSAGES] += 1
        duration = max(time_ns - fields[at.MESSAGE_TIME], 0)
        state.message_times[s, bucket_of(duration)] += 1
        state.longest_ns[s, 1] = max(state.longest_ns[s, 1], duration)
        state.largest_bytes[s, opcode] = max(state.largest_bytes[s, opcode], total)
    else:
        fields[at.PARTIAL_MESSAGES] += 1
    fields[at.MESSAGE_OPEN] = 0
    fields[at.AFTER_GAP] = 0
    if opcode == 1:
        remember_read(state, s)
    elif opcode == 2:
        match_read(state, s, time_ns)
    elif opcode == 7 and fields[at.TERMINATE] < 0:
        fields[at.TERMINATE_FRAME] = frame
        if fields[at.HEADER_SEEN] >= 24:
            fields[at.TERMINATE] = big_endian(state.header[s], 20, 4)


@njit(**INLINED)
def take_ulpdu(state: IwarpState, s: int, time_ns: int, frame: int) -> None:
    """Add the FPDU whose header is in `state.header[s]` to its message."""
    fields = state.streams[s]
    header = state.header[s]
    ulpdu = big_endian(header, 0, 2)
    tagged = header[2] >= 0x80
    last = header[2] & 0x40 != 0
    opcode = np.int64(header[3] & 0x0F)
    payload = ulpdu - (14 if tagged else 18)
    if opcode == 1 or opcode == 7 or opcode == 10 or opcode == 11:
        payload = 0  # control, no data of the application
    offset = np.int64(0)
    complete_header = fields[at.HEADER_SEEN] >= (16 if tagged else 20)
    if complete_header and not tagged:
        offset = big_endian(header, 16, 4)
    if fields[at.MESSAGE_OPEN] and fields[at.MESSAGE_OPCODE] != opcode:
        fields[at.PARTIAL_MESSAGES] += 1
        fields[at.MESSAGE_OPEN] = 0
    if not fields[at.MESSAGE_OPEN]:
        fields[at.MESSAGE_OPEN] = 1
        fields[at.MESSAGE_OPCODE] = opcode
        fields[at.MESSAGE_BYTES] = 0
        fields[at.MESSAGE_TIME] = fields[at.FPDU_TIME]
        begins = offset == 0 if not tagged else fields[at.AFTER_GAP] == 0
        fields[at.MESSAGE_INTACT] = 1 if begins else 0
        fields[at.MESSAGE_STAG] = -1
        if tagged and complete_header:
            fields[at.MESSAGE_STAG] = big_endian(header, 4, 4)
            fields[at.MESSAGE_OFFSET] = big_endian(header, 8, 8)
    fields[at.MESSAGE_BYTES] += payload
    fields[at.PAYLOAD_BYTES] += payload
    state.operation_bytes[s, opcode] += payload
    if last:
        end_message(state, s, fields[at.MESSAGE_BYTES], time_ns, frame)


@njit(**INNER)
def log_fpdu(state: IwarpState, s: int, frame: int, verdict: int) -> None:
    """Write the FPDU to the log while it has room; -1 stands for what was not captured."""
    row = state.totals[at.TOTAL_LOGGED]
    if row >= len(state.log):
        return
    state.totals[at.TOTAL_LOGGED] += 1
    log = state.log[row]
    header = state.header[s]
    seen = state.streams[s, at.HEADER_SEEN]
    log[:] = -1
    log[0] = frame
    log[1] = s
    log[2] = big_endian(header, 0, 2)
    log[11] = verdict
    if seen >= 4 and log[2] > 0:
        log[3] = np.int64(header[2] >> 7)
        log[4] = np.int64(header[2] >> 6) & 1
        log[5] = np.int64(header[3]) & 0x0F
        if header[2] >= 0x80 and seen >= 16:
            log[9] = big_endian(header, 4, 4)
            log[10] = big_endian(header, 8, 8)
        elif header[2] < 0x80 and seen >= 20:
            log[6] = big_endian(header, 8, 4)
            log[7] = big_endian(header, 12, 4)
            log[8] = big_endian(header, 16, 4)


@njit(**INLINED)
def end_fpdu(state: IwarpState, s: int, time_ns: int, frame: int, crc: int) -> None:
    """Judge the FPDU that just ended; `crc`: CRCs are in use (1), are not (0), or unknown (-1)."""
    fields = state.streams[s]
    fields[at.FPDUS] += 1
    verdict = -1  # no CRC in use, or none that could be verified
    if crc == 1 and fields[at.INTACT]:
        verdict = 0
        if fields[at.REGISTER] ^ 0xFFFFFFFF == fields[at.RECEIVED_CRC]:
            verdict = 1
            fields[at.CRC_GOOD] += 1
        else:
            fields[at.CRC_BAD] += 1
            note_frame(state, s, 0, fields[at.CRC_BAD], frame)
    elif crc != 0:
        fields[at.CRC_UNVERIFIED] += 1
    if len(state.log) > 0:
        log_fpdu(state, s, frame, verdict)
    if big_endian(state.header[s], 0, 2) == 0:
        state.operations[s, at.EMPTY] += 1  # RFC 6581 lets a peer send one to get ready
    elif fields[at.HEADER_SEEN] < 4:
        fields[at.UNSEEN_FPDUS] += 1
        fields[at.MESSAGE_INTACT] = 0
        fields[at.AFTER_GAP] = 1
    else:
        take_ulpdu(state, s, time_ns, frame)
    begin_fpdu(state, s)


@njit(**INLINED)
def take_marker(
    state: IwarpState, s: int, view: NDArray[np.uint8], start: int, captured: int, count: int
) -> None:
    """Pass `count` bytes of a marker, of which `captured` stand at `view[start]`.

    A marker counts in the CRC of the FPDU it stands in or before, unless it follows the CRC's
    first byte, which alignment forbids.
    """
    fields = state.streams[s]
    seen = min(captured, count)
    if seen < count:
        fields[at.INTACT] = 0
    fields[at.REGISTER] = crc32c_update(
        state.tables, view, start, start + seen, fields[at.REGISTER]
    )
    if seen == 4:
        back = 0
        if fields[at.FPDU_SEEN] > 0:
            back = fields[at.POSITION] - fields[at.FPDU_POSITION]
        if big_endian(view, start + 2, 2) != back & 0xFFFF:
            fields[at.MARKER_ERRORS] += 1


@njit(**INLINED)
def take_piece(
    state: IwarpState,
    s: int,
    view: NDArray[np.uint8],
    start: int,
    captured: int,
    count: int,
    crc: int,
) -> int:
    """Pass up to `count` FPDU bytes that all belong to one part of it; return how many.

    `captured` bytes stand at `view[start]`. Returns -1 where the stream's place is lost.
    """
    fields = state.streams[s]
    done = fields[at.FPDU_SEEN]
    size = fields[at.FPDU_SIZE]
    if size == 0:
        count = min(count, 2 - done)
    elif done < size - 4:
        count = min(count, size - 4 - done)
    else:
        count = min(count, size - done)
    seen = min(captured, count)
    if seen < count:
        fields[at.INTACT] = 0
    fields[at.FPDU_SEEN] = done + count
    if size > 0 and done >= size - 4:
        for k in range(seen):
            shift = 8 * (done + k - size + 4)
            fields[at.RECEIVED_CRC] |= np.int64(view[start + k]) << shift
        return count
    if crc != 0 and fields[at.INTACT]:
        fields[at.REGISTER] = crc32c_update(
            state.tables, view, start, start + seen, fields[at.REGISTER]
        )
    known = fields[at.HEADER_SEEN]
    if known == done:
        copied = min(seen, at.HEADER_BYTES - known)
        for k in range(copied):
            state.header[s, known + k] = view[start + k]
        fields[at.HEADER_SEEN] = known + max(copied, 0)
    if size == 0 and done + count == 2:
        if fields[at.HEADER_SEEN] < 2:
            fields[at.UNSEEN_FPDUS] += 1
            abandon(state, s, at.CUT)
            return -1
        ulpdu = big_endian(state.header[s], 0, 2)
        fields[at.FPDU_SIZE] = 2 + ulpdu + (-(2 + ulpdu)) % 4 + 4
    header = state.header[s]
    header_seen = fields[at.HEADER_SEEN]
    judge = known < 4 <= header_seen and (header[0] or header[1])
    if judge and not plausible(header, 0, header_seen):
        abandon(state, s, at.LOST)
        return -1
    return count


@njit(**INLINED)
def walk(
    state: IwarpState,
    s: int,
    view: NDArray[np.uint8],
    start: int,
    captured: int,
    length: int,
    time_ns: int,
    frame: int,
    crc: int,
) -> None:
    """Pass `length` stream bytes, of which the first `captured` stand at `view[start]`.

    The direction must be in phase FULL. FPDUs that end are counted with this packet's time.
    """
    fields = state.streams[s]
    done = 0
    while done < length:
        left = max(captured - done, 0)
        in_interval = fields[at.POSITION] & 511
        count = length - done
        if fields[at.MARKERS] == 1:
            if in_interval < 4:
                count = min(count, 4 - in_interval)
                take_marker(state, s, view, start + done, left, count)
                fields[at.POSITION] += count
                done += count
                continue
            count = min(count, 512 - in_interval)
        if fields[at.FPDU_SEEN] == 0:
            fields[at.FPDU_POSITION] = fields[at.POSITION]
            fields[at.FPDU_TIME] = time_ns
        count = take_piece(state, s, view, start + done, left, count, crc)
        if count < 0:
            fields[at.POSITION] += length - done
            return
        fields[at.POSITION] += count
        done += count
        if fields[at.FPDU_SIZE] > 0 and fields[at.FPDU_SEEN] == fields[at.FPDU_SIZE]:
            end_fpdu(state, s, time_ns, frame, crc)
