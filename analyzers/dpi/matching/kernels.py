"""Evaluation of compiled signatures on the bytes of one message. Arrays only.

A message is three numbers into a byte buffer: `start`, `have` (bytes present) and `total` (payload
length on the wire: of the datagram, or of the first TCP segment). `growing` says that a TCP stream
may still deliver bytes beyond `have`. Streams and datagrams are put together in the kernels one
level up; the layout of the tables is in `compiler`.
"""

import numpy as np
from numba import njit

FAIL = 0
WAIT = 1  # the bytes that would decide are not there
PASS = 2

NO_RULE = -1


@njit(cache=True, nogil=True, _nrt=False)
def read_varied(buffer, start, have, at, kind):
    """Read a number of variable size (BER, LEB128, decimal); return status and value."""
    if kind == 10 or kind == 11:
        first = np.int64(buffer[start + at])
        if first < 0x80:
            return PASS, np.int64(1) if kind == 11 else first + 1
        octets = first & 0x7F
        if octets == 0 or octets > 4:
            return FAIL, np.int64(0)
        if at + 1 + octets > have:
            return WAIT, np.int64(0)
        value = np.int64(0)
        for index in range(octets):
            value = value << 8 | np.int64(buffer[start + at + 1 + index])
        return PASS, np.int64(1 + octets) if kind == 11 else value + 1 + octets
    if kind == 12 or kind == 13:
        value = np.int64(0)
        for index in range(5):
            if at + index >= have:
                return WAIT, np.int64(0)
            byte = np.int64(buffer[start + at + index])
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return PASS, np.int64(index + 1) if kind == 13 else value
        return FAIL, np.int64(0)
    value = np.int64(0)
    for index in range(10):
        if at + index >= have:
            return WAIT, np.int64(0)
        digit = np.int64(buffer[start + at + index]) - 48
        if digit < 0 or digit > 9:
            if index == 0:
                return FAIL, np.int64(0)
            return PASS, value
        value = value * 10 + digit
    return FAIL, np.int64(0)


@njit(cache=True, nogil=True, _nrt=False)
def read_number(buffer, start, have, total, growing, at, kind):
    """Read the number of `kind` at offset `at`; return status and value (int64)."""
    if at < 0:
        return FAIL, np.int64(0)
    if kind == 1:
        width = 1
    elif kind <= 3:
        width = 2
    elif kind <= 5:
        width = 3
    elif kind <= 7:
        width = 4
    elif kind <= 9:
        width = 8
    else:
        width = 1
    if at + width > have:
        return (WAIT if growing or at + width <= total else FAIL), np.int64(0)
    if kind >= 10:
        return read_varied(buffer, start, have, at, kind)
    little = kind == 3 or kind == 5 or kind == 7 or kind == 9
    value = np.int64(0)
    for index in range(width):
        place = width - 1 - index if little else index
        value = value << 8 | np.int64(buffer[start + at + place])
    return PASS, value


@njit(cache=True, nogil=True, _nrt=False)
def place(row, first, buffer, start, have, total, growing):
    """Return status and offset of the position in columns `first` to `first + 3` of a check."""
    offset = row[first]
    if offset < 0:
        return (PASS if total + offset >= 0 else FAIL), total + offset
    if row[first + 1] == 0:
        return PASS, offset
    status, value = read_number(buffer, start, have, total, growing, row[first + 2], row[first + 1])
    # A field of 64 bits can hold anything; no offset beyond a head is of use.
    if status == PASS and (value < 0 or value > 65_536):
        return FAIL, offset
    return status, offset + value * row[first + 3]


@njit(cache=True, nogil=True, _nrt=False)
def in_ranges(tables, row, value):
    """Say whether `value` lies in one of the check's ranges."""
    for index in range(row[10], row[11]):
        if tables.ranges[index, 0] <= value <= tables.ranges[index, 1]:
            return True
    return False


@njit(cache=True, nogil=True, _nrt=False)
def compare_bytes(tables, alternative, buffer, start, have, total, growing, at):
    """Compare one pattern with the bytes at `at`; what is present may already say no."""
    first = tables.alternatives[alternative, 0]
    length = tables.alternatives[alternative, 1]
    fold = tables.alternatives[alternative, 2] != 0
    for index in range(length):
        if at + index >= have:
            return WAIT if growing or at + length <= total else FAIL
        byte = buffer[start + at + index]
        if fold and 0x41 <= byte <= 0x5A:
            byte |= np.uint8(0x20)
        mask = tables.pattern_masks[first + index]
        if byte & mask != tables.pattern_bytes[first + index] & mask:
            return FAIL
    return PASS


@njit(cache=True, nogil=True, _nrt=False)
def find_bytes(tables, row, buffer, start, have, total, growing, at):
    """Search the pattern at the positions `at` to `at + window`."""
    for shift in range(row[14] + 1):
        status = compare_bytes(tables, row[12], buffer, start, have, total, growing, at + shift)
        if status == PASS:
            return PASS
        if at + shift >= have:
            return WAIT if growing or have < total else FAIL
    return FAIL


@njit(cache=True, nogil=True, _nrt=False)
def check_question(buffer, start, have, total, growing, at):
    """Check for a DNS question: labels, the root, a type and a class that exist."""
    missing = WAIT if growing or have < total else FAIL
    size = 0
    for _ in range(128):
        if at >= have:
            return missing
        length = np.int64(buffer[start + at])
        at += 1
        if length == 0:
            break
        if length >= 0xC0:
            at += 1
            break
        if length > 63:
            return FAIL
        size += length + 1
        at += length
        if size > 255:
            return FAIL
    if at + 4 > have:
        return missing
    kind = np.int64(buffer[start + at]) << 8 | np.int64(buffer[start + at + 1])
    group = np.int64(buffer[start + at + 2]) << 8 | np.int64(buffer[start + at + 3])
    group &= 0x7FFF  # the highest bit is mDNS's "unicast response" request
    if kind == 0 or not (group == 1 or group == 3 or group == 4 or group == 254 or group == 255):
        return FAIL
    return PASS


@njit(cache=True, nogil=True, _nrt=False)
def check_printable(row, buffer, start, have, total, growing, at):
    """Check that `window` bytes are printable ASCII, tabs or line ends."""
    for index in range(row[14]):
        if at + index >= have:
            return WAIT if growing or at + row[14] <= total else FAIL
        byte = buffer[start + at + index]
        if not (32 <= byte <= 126 or byte == 9 or byte == 10 or byte == 13):
            return FAIL
    return PASS


@njit(cache=True, nogil=True, _nrt=False)
def check_numbers(tables, row, buffer, own, reply, previous, growing, at):
    """Evaluate the checks number, length and difference at offset `at`."""
    status, value = read_number(buffer, own[0], own[1], own[2], growing, at, row[6])
    if status != PASS:
        return status
    value &= row[7]
    if row[0] == 3:
        # No payload is that long, and the product must not wrap.
        if value < 0 or value > 1 << 40:
            return FAIL
        return PASS if in_ranges(tables, row, value * row[8] + row[9] - own[2]) else FAIL
    if row[0] == 4:
        other = reply if row[15] == 1 else previous
        if other[2] == 0:
            return WAIT
        status, other_at = place(row, np.int64(16), buffer, other[0], other[1], other[2], growing)
        if status != PASS:
            return status
        status, number = read_number(
            buffer, other[0], other[1], other[2], growing, other_at, row[20]
        )
        if status != PASS:
            return status
        value -= number
    return PASS if in_ranges(tables, row, value) else FAIL


@njit(cache=True, nogil=True, _nrt=False)
def evaluate_check(tables, check, buffer, own, reply, previous, growing):
    """Evaluate one check; return FAIL, WAIT or PASS. Messages are (start, have, total)."""
    row = tables.checks[check]
    start, have, total = own
    what = row[0]
    if what == 7:
        size = total % row[8] if row[8] else total
        return PASS if in_ranges(tables, row, size) else FAIL
    status, at = place(row, np.int64(2), buffer, start, have, total, growing)
    if status == PASS:
        if what == 0:
            status = FAIL
            for alternative in range(row[12], row[13]):
                result = compare_bytes(tables, alternative, buffer, start, have, total, growing, at)
                status = max(status, result)
                if status == PASS:
                    break
        elif what == 1:
            status = find_bytes(tables, row, buffer, start, have, total, growing, at)
        elif what == 5:
            status = check_printable(row, buffer, start, have, total, growing, at)
        elif what == 6:
            status = check_question(buffer, start, have, total, growing, at)
        else:
            status = check_numbers(tables, row, buffer, own, reply, previous, growing, at)
    if row[1] != 0 and status != PASS and at >= have:
        return PASS
    if row[1] != 0 and status == WAIT:
        return PASS
    return status


@njit(cache=True, nogil=True, _nrt=False)
def evaluate_checks(tables, first, last, buffer, own, reply, previous, growing, work):
    """Evaluate the checks `first` to `last` (excluded): all must hold; `work[0]` counts them."""
    result = PASS
    for check in range(first, last):
        work[0] += 1
        status = evaluate_check(tables, check, buffer, own, reply, previous, growing)
        if status == FAIL:
            return FAIL
        result = min(result, status)
    return result


@njit(cache=True, nogil=True, _nrt=False)
def on_port(tables, application, transport, source_port, destination_port):
    """Say whether one of the ports belongs to the application."""
    if transport > 1:
        return False
    entry = (application - 1) * 2 + transport
    for index in range(tables.port_start[entry], tables.port_start[entry + 1]):
        port = tables.port_list[index]
        if port in (source_port, destination_port):
            return True
    return False


@njit(cache=True, nogil=True, _nrt=False)
def match_message(
    tables, transport, ports, buffer, own, reply, previous, growing, score_to_beat, work
):
    """Return the best rule, its score in thousandths, whether both sides agree, and `waiting`.

    `waiting` says that more bytes or a reply could make another rule match.

    Rules whose reply contradicts count three quarters. NO_RULE where none beats `score_to_beat`.
    """
    best, best_score, best_agreed, waiting = NO_RULE, score_to_beat, False, False
    if own[1] <= 0:
        return best, best_score, best_agreed, True
    bucket = transport * 256 + np.int64(buffer[own[0]])
    start, have, total = own
    word = np.int64(0)
    present = np.int64(0)
    for index in range(8):
        word <<= 8
        present <<= 8
        if index < have:
            word |= np.int64(buffer[start + index])
            present |= 0xFF
    for entry in range(tables.bucket_start[bucket], tables.bucket_start[bucket + 1]):
        rule = tables.rules[tables.bucket_rules[entry]]
        if rule[8] <= best_score:
            break  # the bucket is in falling order of confidence
        if (word ^ rule[11]) & rule[10] & present != 0 or total < rule[12] or total > rule[13]:
            continue
        if rule[6] != 0 and not on_port(tables, rule[0], transport, ports[0], ports[1]):
            continue
        status = evaluate_checks(
            tables.conditions, rule[1], rule[2], buffer, own, reply, previous, growing, work
        )
        waiting = waiting or status == WAIT
        if status != PASS:
            continue
        score, agreed = rule[7], False
        if rule[4] > rule[3]:
            answer = WAIT
            if reply[1] > 0:
                nothing = (np.int64(0), np.int64(0), np.int64(0))
                answer = evaluate_checks(
                    tables.conditions, rule[3], rule[4], buffer, reply, own, nothing, growing, work
                )
            waiting = waiting or answer == WAIT
            if rule[5] != 0 and answer != PASS:
                continue
            if answer == PASS:
                score, agreed = rule[8], True
            elif answer == FAIL:
                score = rule[7] * 3 // 4
        if score > best_score:
            best, best_score, best_agreed = (
                np.int64(tables.bucket_rules[entry]), score, agreed
            )  # fmt: skip
    return best, best_score, best_agreed, waiting
