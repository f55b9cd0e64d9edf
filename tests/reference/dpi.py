"""The conditions of signatures in plain Python, written from the description in `checks`."""

from __future__ import annotations

from dataclasses import dataclass

from fabricscope.analyzers.dpi.checks import Check, Position
from fabricscope.analyzers.dpi.signatures import Match, Signature

FAIL, WAIT, PASS = "fail", "wait", "pass"


class Missing(Exception):
    """Bytes that would decide are not there but may exist."""


class Impossible(Exception):
    """Bytes that would be needed cannot exist, or a number cannot be read."""


@dataclass
class Message:
    """Captured bytes, payload length on the wire, and whether a stream may still deliver more."""

    data: bytes = b""
    total: int = 0
    growing: bool = False

    def take(self, at: int, size: int) -> bytes:
        if at < 0:
            raise Impossible
        if at + size <= len(self.data):
            return self.data[at : at + size]
        raise Missing if self.growing or at + size <= self.total else Impossible

    def number(self, at: int, kind: str) -> int:
        if kind.startswith("u"):
            digits = kind[1:].rstrip("bel")
            order = "little" if kind.endswith("le") else "big"
            value = int.from_bytes(self.take(at, int(digits) // 8), order)
            return value - (1 << 64) if value >= 1 << 63 else value
        self.take(at, 1)
        if kind.startswith("ber"):
            return self._ber(at, kind)
        if kind.startswith("leb128"):
            return self._leb128(at, kind)
        return self._decimal(at)

    def _ber(self, at: int, kind: str) -> int:
        first = self.data[at]
        octets = 0 if first < 0x80 else first - 0x80
        if first >= 0x80 and not 1 <= octets <= 4:
            raise Impossible
        if at + 1 + octets > len(self.data):
            raise Missing
        content = (
            first if octets == 0 else int.from_bytes(self.data[at + 1 : at + 1 + octets], "big")
        )
        return 1 + octets + (0 if kind == "berhead" else content)

    def _leb128(self, at: int, kind: str) -> int:
        value = 0
        for index in range(5):
            if at + index >= len(self.data):
                raise Missing
            byte = self.data[at + index]
            value += (byte % 128) * 128**index
            if byte < 128:
                return index + 1 if kind == "leb128head" else value
        raise Impossible

    def _decimal(self, at: int) -> int:
        text = self.data[at : at + 10]
        digits = b""
        for byte in text:
            if not 48 <= byte <= 57:
                if not digits:
                    raise Impossible
                return int(digits)
            digits += bytes([byte])
        if len(text) < 10:
            raise Missing
        raise Impossible

    def place(self, position: Position) -> int:
        if position.offset < 0:
            if self.total + position.offset < 0:
                raise Impossible
            return self.total + position.offset
        if position.kind == "none":
            return position.offset
        value = self.number(position.base, position.kind)
        if not 0 <= value <= 65_536:
            raise Impossible
        return position.offset + value * position.scale


def within(value: int, check: Check) -> bool:
    return any(low <= value <= high for low, high in check.ranges)


def holds(check: Check, own: Message, reply: Message, previous: Message) -> str:
    """Return what one condition says of a message."""
    if check.what == "size":
        size = own.total % check.scale if check.scale else own.total
        return PASS if within(size, check) else FAIL
    at = -1
    try:
        at = own.place(check.position)
        result = PASS if _true_at(check, at, own, reply, previous) else FAIL
    except Missing:
        result = WAIT
    except Impossible:
        result = FAIL
        if at < 0:
            at = check.position.offset
    if check.optional and (result == WAIT or (result == FAIL and at >= len(own.data))):
        return PASS
    return result


def _true_at(check: Check, at: int, own: Message, reply: Message, previous: Message) -> bool:
    if check.what == "bytes":
        return _any_pattern(check, own, at)
    if check.what == "find":
        return _search(check, own, at)
    if check.what == "printable":
        for index in range(check.window):
            if at + index >= len(own.data):
                own.take(at, check.window)
            byte = own.data[at + index]
            if not (32 <= byte <= 126 or byte in (9, 10, 13)):
                return False
        return True
    if check.what == "question":
        return _question(own, at)
    value = own.number(at, check.kind) & check.mask
    if check.what == "length":
        if not 0 <= value <= 1 << 40:
            return False
        return within(value * check.scale + check.bias - own.total, check)
    if check.what == "difference":
        other = reply if check.other_side == "reply" else previous
        if other.total == 0:
            raise Missing
        value -= other.number(other.place(check.other), check.other_kind)
        value = (value + (1 << 63)) % (1 << 64) - (1 << 63)
    return within(value, check)


def _same(pattern_value: bytes, mask: bytes, fold: bool, data: bytes) -> bool:
    data = data.lower() if fold else data
    return all(d & m == v & m for d, m, v in zip(data, mask, pattern_value, strict=False))


def _any_pattern(check: Check, own: Message, at: int) -> bool:
    waiting = False
    for pattern in check.patterns:
        present = own.data[at : at + len(pattern.value)]
        if not _same(pattern.value, pattern.mask, pattern.fold, present):
            continue
        if len(present) == len(pattern.value):
            return True
        try:
            own.take(at, len(pattern.value))
        except Missing:
            waiting = True
        except Impossible:
            continue
    if waiting:
        raise Missing
    return False


def _search(check: Check, own: Message, at: int) -> bool:
    pattern = check.patterns[0]
    for start in range(at, at + check.window + 1):
        piece = own.data[start : start + len(pattern.value)]
        if len(piece) == len(pattern.value) and _same(
            pattern.value, pattern.mask, pattern.fold, piece
        ):
            return True
        if start >= len(own.data):
            if own.growing or len(own.data) < own.total:
                raise Missing
            return False
    return False


def _question(own: Message, at: int) -> bool:
    gone = Missing if own.growing or len(own.data) < own.total else Impossible
    size = 0
    for _ in range(128):
        if at >= len(own.data):
            raise gone
        length = own.data[at]
        at += 1
        if length == 0:
            break
        if length >= 0xC0:
            at += 1
            break
        size += length + 1
        at += length
        if length > 63 or size > 255:
            return False
    if at + 4 > len(own.data):
        raise gone
    kind = int.from_bytes(own.data[at : at + 2], "big")
    group = int.from_bytes(own.data[at + 2 : at + 4], "big") & 0x7FFF
    return kind != 0 and group in (1, 3, 4, 254, 255)


def all_hold(checks: tuple[Check, ...], own: Message, reply: Message, previous: Message) -> str:
    results = [holds(check, own, reply, previous) for check in checks]
    if FAIL in results:
        return FAIL
    return WAIT if WAIT in results else PASS


def best_match(
    signatures: list[Signature],
    transport: str,
    ports: tuple[int, int],
    own: Message,
    reply: Message,
    previous: Message,
) -> tuple[str, int, bool]:
    """Return name, score in thousandths and agreement of the best rule for a message."""
    best: tuple[str, int, bool] = ("", 0, False)
    if not own.data:
        return best
    candidates: list[tuple[float, int, Signature, Match]] = []
    number = 0
    for signature in signatures:
        for match in signature.matches:
            for name in match.transports:
                candidates.append((-match.confidence, number, signature, match))
                number += 1
                if name != transport:
                    candidates.pop()
    for _, _, signature, match in sorted(candidates, key=lambda entry: entry[:2]):
        score = round(match.confidence * 1000)
        own_ports = {"tcp": signature.tcp_ports, "udp": signature.udp_ports}.get(transport, ())
        if match.port_required and not set(ports) & set(own_ports):
            continue
        if all_hold(match.payload, own, reply, previous) != PASS:
            continue
        agreed = False
        if match.reply:
            answer = all_hold(match.reply, reply, own, Message()) if reply.data else WAIT
            if match.require_reply and answer != PASS:
                continue
            if answer == PASS:
                score, agreed = round((1 - (1 - match.confidence) / 4) * 1000), True
            elif answer == FAIL:
                score = score * 3 // 4
        if score > best[1]:
            best = (signature.name, score, agreed)
    return best
