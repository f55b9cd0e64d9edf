"""The small language of the conditions in a signature, parsed into `Check` values.

One string is one condition on the bytes of one direction:

    @0 hex 16 03 0?                      bytes at an offset; `?` is any half byte, `|` separates
    @0 text "GET " | "POST "             text (`itext` ignores case), alternatives with `|`
    @4 find "HTTP/1." within 200         text that starts 4 to 204 bytes in (`ifind`: any case)
    @2 u16be in 1..100                   a number in a range, in a set `{1, 2}`, or compared
    @2 u16be & 0x7fff == 5               ... after a mask
    @0 u32be * 1 + 4 == length           a length field that agrees with the payload's length
    @0 u16be - reply @0 u16be in 0..0    a number against one in the other direction's bytes
    @2 u16be - previous @2 u16be in 1..9 ... or in the sender's datagram before this one
    @5+u16be(3)*1 hex 1? 03              an offset that depends on a field
    @-2 hex 0d 0a                        an offset from the end of the payload
    @8 printable 16                      16 bytes of printable text
    @12 question                         a DNS question: a name, a type, a class
    length in 12..512                    the payload's own length; `length % 4 == 0`

A leading `?` makes a condition optional: bytes that were not captured do not speak against it.
`length` is the payload length on the wire of the datagram or of the first segment.
Compiling to arrays is in `compiler`.
"""

import re
from dataclasses import dataclass
from typing import Final

MAX_OFFSET: Final = 2_047
MAX_WINDOW: Final = 512
MAX_PATTERN: Final = 64
MAX_ALTERNATIVES: Final = 64
MAX_SHOWN: Final = 60

KINDS: Final = (
    "none",
    "u8",
    "u16be",
    "u16le",
    "u24be",
    "u24le",
    "u32be",
    "u32le",
    "u64be",
    "u64le",
    "ber",
    "berhead",
    "leb128",
    "leb128head",
    "dec",
)
"""How a number is read. `ber`: octets of a BER length and its contents together, `berhead`: of
the length alone; `leb128` and `leb128head`: the value and the size of a 7-bit varint; `dec`: ASCII
decimal digits up to the first other byte."""


@dataclass(frozen=True)
class Position:
    """Where to look: `offset`, plus `scale` times the number of `kind` at `base`, if any.

    A negative `offset` counts from the end of the payload.
    """

    offset: int
    kind: str = "none"
    base: int = 0
    scale: int = 1


@dataclass(frozen=True)
class Pattern:
    """Bytes under a mask; a text that ignores case has `fold` set and is stored in lower case."""

    value: bytes
    mask: bytes
    fold: bool = False


@dataclass(frozen=True)
class Check:
    """One condition. `what` says which fields matter; ranges include both ends.

    - bytes: `patterns` (any of them) at `position`
    - find: the one pattern, starting within `window` bytes from `position`
    - number: `kind` at `position`, under `mask`, within one of `ranges`
    - length: `kind` x `scale` + `bias` minus the payload length, within `ranges`; numbers above
      2**40 agree with no length
    - difference: `kind` minus the number `other_kind` at `other` of `other_side`, modulo 2**64,
      in `ranges`
    - printable, question: `window` bytes of text; a DNS question
    - size: the payload length modulo `scale` (0: as it is) within `ranges`
    """

    what: str
    position: Position = Position(0)
    patterns: tuple[Pattern, ...] = ()
    window: int = 0
    kind: str = "none"
    mask: int = -1
    scale: int = 1
    bias: int = 0
    ranges: tuple[tuple[int, int], ...] = ()
    other_side: str = ""
    other: Position = Position(0)
    other_kind: str = "none"
    optional: bool = False


class CheckError(ValueError):
    """The text of a condition cannot be understood; the message says which part."""


_LARGEST: Final = {
    kind: (1 << int(kind[1:3].rstrip("bl"))) - 1
    for kind in KINDS
    if kind.startswith("u") and not kind.startswith("u64")
}
_MIN: Final = -(1 << 63)
_MAX: Final = (1 << 63) - 1
_INT = r"-?(?:0x[0-9a-fA-F]+|\d+)"
_KIND = "|".join(kind for kind in KINDS[1:])
_POSITION = re.compile(
    rf"@(?P<offset>-?\d+)(?:\+(?P<kind>{_KIND})\((?P<base>\d+)\)(?:\*(?P<scale>\d+))?)?\s*"
)
_NUMBER = re.compile(rf"(?P<kind>{_KIND})\b\s*(?:&\s*(?P<mask>{_INT}))?\s*")
_COMPARE = re.compile(rf"(?P<op>==|!=|<=|>=|<|>)\s*(?P<value>{_INT})$")
_RANGE = re.compile(rf"in\s+(?P<low>{_INT})\.\.(?P<high>{_INT})$")
_SET = re.compile(r"in\s+\{(?P<items>[^}]*)\}$")
_LENGTH = re.compile(
    rf"(?:\*\s*(?P<scale>{_INT})\s*)?(?:(?P<sign>[+-])\s*(?P<bias>\d+)\s*)?"
    r"(?P<op>==|<=|>=|<|>)\s*length$"
)
_OTHER = re.compile(r"-\s*(?P<side>reply|previous)\s+")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_SIMPLE_ESCAPES: Final = {
    b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\", b'"': b'"'
}  # fmt: skip


def excerpt(text: str) -> str:
    """Return a text as it is shown in errors: a long one's beginning."""
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def parse_check(text: str) -> Check:
    """Return the condition that `text` describes; raises CheckError."""
    body = text.strip()
    optional = body.startswith("?")
    if optional:
        body = body[1:].lstrip()
    check = _parse_size(body) if body.startswith("length") else _parse_placed(body)
    return Check(**{**check.__dict__, "optional": optional})


def _parse_size(body: str) -> Check:
    rest = body.removeprefix("length").strip()
    modulo = re.match(r"%\s*(\d+)\s*", rest)
    scale = 0
    if modulo:
        scale = int(modulo[1])
        if scale < 2:
            raise CheckError("the divisor after % must be 2 or more")
        rest = rest[modulo.end() :]
    return Check("size", scale=scale, ranges=_parse_ranges(rest))


def _parse_placed(body: str) -> Check:
    position, rest = _parse_position(body)
    word, _, argument = rest.partition(" ")
    argument = argument.strip()
    if word in ("hex", "text", "itext"):
        return Check("bytes", position, patterns=_parse_patterns(word, argument))
    if word in ("find", "ifind"):
        return _parse_find(position, word, argument)
    if word == "printable":
        return Check("printable", position, window=_bounded(argument, 1, MAX_WINDOW, "printable"))
    if rest.strip() == "question":
        return Check("question", position)
    return _parse_number(position, rest)


def _parse_position(body: str) -> tuple[Position, str]:
    match = _POSITION.match(body)
    if not match:
        raise CheckError(f"expected @OFFSET or length at the start of {excerpt(body)!r}")
    offset, base = int(match["offset"]), int(match["base"] or 0)
    if abs(offset) > MAX_OFFSET or base > MAX_OFFSET:
        raise CheckError(f"an offset may be at most {MAX_OFFSET}")
    if match["kind"] and offset < 0:
        raise CheckError("an offset from the end cannot depend on a field")
    position = Position(offset, match["kind"] or "none", base, int(match["scale"] or 1))
    return position, body[match.end() :]


def _parse_number(position: Position, rest: str) -> Check:
    number = _NUMBER.match(rest)
    if not number:
        raise CheckError(
            f"expected hex, text, find, a number kind, ... instead of {excerpt(rest)!r}"
        )
    kind, mask = number["kind"], int(number["mask"] or "-1", 0)
    tail = rest[number.end() :]
    length = _LENGTH.match(tail)
    if length:
        bias = int(length["bias"] or 0) * (-1 if length["sign"] == "-" else 1)
        ranges = _compared(length["op"], 0)
        scale = int(length["scale"] or "1", 0)
        return Check("length", position, kind=kind, mask=mask, scale=scale, bias=bias,
                     ranges=ranges)  # fmt: skip
    other = _OTHER.match(tail)
    if other:
        other_position, tail = _parse_position(tail[other.end() :])
        other_number = _NUMBER.match(tail)
        if not other_number:
            raise CheckError(f"expected a number kind instead of {excerpt(tail)!r}")
        return Check("difference", position, kind=kind, mask=mask, other_side=other["side"],
                     other=other_position, other_kind=other_number["kind"],
                     ranges=_parse_ranges(tail[other_number.end() :]))  # fmt: skip
    ranges = _parse_ranges(tail)
    if kind in _LARGEST:
        _refuse_pointless(f"{kind} & {number['mask']}" if number["mask"] else kind,
                          _LARGEST[kind] & mask, ranges)  # fmt: skip
    return Check("number", position, kind=kind, mask=mask, ranges=ranges)


def _refuse_pointless(what: str, largest: int, ranges: tuple[tuple[int, int], ...]) -> None:
    """Raise CheckError where no number, or every number from 0 to `largest`, is in the ranges."""
    possible = [(low, high) for low, high in ranges if low <= largest and high >= 0]
    if not possible:
        raise CheckError(f"this never holds: {what} is 0 to {largest}")
    if any(low <= 0 and high >= largest for low, high in possible):
        raise CheckError(f"this always holds: {what} is 0 to {largest}")


def _compared(op: str, value: int) -> tuple[tuple[int, int], ...]:
    return {
        "==": ((value, value),),
        "!=": ((_MIN, value - 1), (value + 1, _MAX)),
        "<=": ((_MIN, value),),
        "<": ((_MIN, value - 1),),
        ">=": ((value, _MAX),),
        ">": ((value + 1, _MAX),),
    }[op]


def _parse_ranges(text: str) -> tuple[tuple[int, int], ...]:
    text = text.strip()
    if match := _COMPARE.match(text):
        return _compared(match["op"], int(match["value"], 0))
    if match := _RANGE.match(text):
        low, high = int(match["low"], 0), int(match["high"], 0)
        if low > high:
            raise CheckError(f"the range {low}..{high} is empty")
        return ((low, high),)
    if match := _SET.match(text):
        ranges = []
        for item in match["items"].split(","):
            first, _, last = item.strip().partition("..")
            try:
                low, high = int(first, 0), int(last or first, 0)
            except ValueError:
                wrong = excerpt(item.strip())
                raise CheckError(f"{wrong!r} in a set is not a number") from None
            ranges.append((low, high))
        if len(ranges) > MAX_ALTERNATIVES:
            raise CheckError(f"a set may have at most {MAX_ALTERNATIVES} entries")
        return tuple(ranges)
    raise CheckError(f"expected a comparison, in A..B or in {{A, B}} instead of {excerpt(text)!r}")


def _parse_find(position: Position, word: str, argument: str) -> Check:
    match = re.match(r'("(?:[^"\\]|\\.)*")\s+within\s+(\d+)$', argument)
    if not match:
        raise CheckError(f'expected "text" within N after {word}')
    window = _bounded(match[2], 1, MAX_WINDOW, "within")
    (pattern,) = _parse_patterns("itext" if word == "ifind" else "text", match[1])
    return Check("find", position, patterns=(pattern,), window=window)


def _bounded(text: str, low: int, high: int, name: str) -> int:
    if not text.isdigit() or not low <= int(text) <= high:
        raise CheckError(f"the number after {name} must be {low} to {high}")
    return int(text)


def _parse_patterns(word: str, argument: str) -> tuple[Pattern, ...]:
    if word == "hex":
        patterns = tuple(_parse_hex(item) for item in argument.split("|"))
    else:
        patterns = _parse_texts(argument, word == "itext")
    if len(patterns) > MAX_ALTERNATIVES:
        raise CheckError(f"at most {MAX_ALTERNATIVES} alternatives are allowed")
    for pattern in patterns:
        if not 1 <= len(pattern.value) <= MAX_PATTERN:
            raise CheckError(f"a pattern must have 1 to {MAX_PATTERN} bytes")
    return patterns


def _parse_hex(text: str) -> Pattern:
    digits = text.replace(" ", "").lower()
    if len(digits) % 2 or not re.fullmatch(r"[0-9a-f?]+", digits):
        raise CheckError(f"{excerpt(text.strip())!r} is not pairs of hexadecimal digits or ?")
    value = bytes.fromhex(digits.replace("?", "0"))
    mask = bytes.fromhex("".join("0" if digit == "?" else "f" for digit in digits))
    return Pattern(value, mask)


def _parse_texts(argument: str, fold: bool) -> tuple[Pattern, ...]:
    patterns = []
    index = 0
    while True:
        match = _STRING.match(argument, index)
        if not match:
            wrong = excerpt(argument[index:])
            raise CheckError(f"expected text in double quotes instead of {wrong!r}")
        value = _unescape(match[1])
        patterns.append(Pattern(value.lower() if fold else value, b"\xff" * len(value), fold))
        rest = argument[match.end() :].lstrip()
        if not rest:
            return tuple(patterns)
        if not rest.startswith("|"):
            raise CheckError(f"expected | between alternatives instead of {excerpt(rest)!r}")
        rest = rest[1:].lstrip()
        index = len(argument) - len(rest)


def _unescape(text: str) -> bytes:
    def replace(match: re.Match[bytes]) -> bytes:
        code = match[1]
        if code[:1] == b"x" and len(code) == 3:
            return bytes([int(code[1:], 16)])
        if code not in _SIMPLE_ESCAPES:
            raise CheckError(f"unknown escape \\{code.decode('latin-1')}")
        return _SIMPLE_ESCAPES[code]

    try:
        return _ESCAPE.sub(replace, text.encode("latin-1"))
    except UnicodeEncodeError:
        raise CheckError("write bytes outside Latin-1 as \\xNN") from None
