"""The matching kernel against its naive twin."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabricscope.analyzers.dpi.checks import Check
from fabricscope.analyzers.dpi.compiler import compile_signatures
from fabricscope.analyzers.dpi.matching.kernels import NO_RULE, match_message
from fabricscope.analyzers.dpi.signatures import TRANSPORTS, parse_signatures
from fabricscope.analyzers.dpi.tables import CompiledSignatures
from fabricscope.pipeline.signatures import list_signatures
from reference.dpi import Message, best_match

KINDS = ("u8", "u16be", "u16le", "u24be", "u32le", "u64be", "ber", "berhead", "leb128", "dec")


def kernel_match(
    signatures: CompiledSignatures, transport: str, ports: tuple[int, int],
    own: Message, reply: Message, previous: Message,
) -> tuple[str, int, bool]:  # fmt: skip
    buffer = np.frombuffer(b"\xee" * 7 + own.data + reply.data + previous.data + b"\xee", np.uint8)
    at = 7
    places = []
    for message in (own, reply, previous):
        places.append((at, len(message.data), message.total))
        at += len(message.data)
    rule, score, agreed, _ = match_message(
        signatures.tables, TRANSPORTS.index(transport), ports, buffer, *places, own.growing, 0,
        np.zeros(4, np.int64),
    )  # fmt: skip
    if rule == NO_RULE:
        return "", 0, False
    return signatures.name(int(signatures.tables.rules[rule, 0])), int(score), bool(agreed)


def planted(checks: tuple[Check, ...], source: random.Random) -> bytes:
    """Return random bytes in which the fixed patterns of a rule stand in their places."""
    data = bytearray(source.randbytes(source.choice((4, 20, 60, 300))))
    for check in checks:
        if check.what in ("bytes", "find") and check.position.offset >= 0 and check.patterns:
            pattern = source.choice(check.patterns)
            at = check.position.offset
            data += bytes(max(0, at + len(pattern.value) - len(data)))
            for index, (value, mask) in enumerate(zip(pattern.value, pattern.mask, strict=True)):
                data[at + index] = value & mask | data[at + index] & ~mask
        elif check.what == "number" and check.position.offset >= 0 and check.kind == "u8":
            low, _ = source.choice(check.ranges)
            data += bytes(max(0, check.position.offset + 1 - len(data)))
            data[check.position.offset] = low & 0xFF
    return bytes(data)


def test_shipped_rules_match_as_the_twin_says(catalogue: CompiledSignatures) -> None:
    source = random.Random(7)
    found = 0
    by_name = {signature.name: signature for signature in list_signatures()}
    signatures = [by_name[name] for name in catalogue.names]
    for signature in signatures:
        for match in signature.matches:
            transport = match.transports[0]
            data, answer = planted(match.payload, source), planted(match.reply, source)
            growing = transport == "tcp"
            cut = source.randrange(1, len(data) + 1) if source.random() < 0.3 else len(data)
            own = Message(data[:cut], len(data), growing)
            reply = Message(answer, len(answer), growing) if match.reply else Message()
            previous = Message() if growing else Message(data, len(data))
            ports = (40_000, (signature.udp_ports or signature.tcp_ports or (1,))[0])
            wanted = best_match(signatures, transport, ports, own, reply, previous)
            got = kernel_match(catalogue, transport, ports, own, reply, previous)
            assert got == wanted, (signature.name, data)
            found += bool(got[0])
    assert found > 100


def _random_check(source: random.Random) -> str:
    at = source.choice((0, 0, 1, 2, 5, -2))
    optional = source.choice(("", "", "?"))
    place = f"@{at}"
    if at >= 0 and source.random() < 0.2:
        place += f"+{source.choice(KINDS)}({source.randrange(4)})*{source.randrange(1, 3)}"
    kind = source.choice(KINDS)
    low = source.randrange(1, 256)  # else it never or always holds for a byte, which is refused
    choices = [
        f"{place} hex {source.choice(('0?', '00 01', '?? 02', '41 | 42 0?'))}",
        f'{place} itext "ab" | "c"',
        f'{place} find "a" within {source.randrange(1, 9)}',
        f"{place} printable {source.randrange(1, 5)}",
        f"{place} {kind} in {low}..{low + source.randrange(900)}",
        f"{place} {kind} & 0x0f in {{1, 3..5}}",
        f"{place} {kind} * 2 + 1 <= length",
        f"{place} {kind} - reply @1 {source.choice(KINDS)} in -9..9",
        f"{place} {kind} - previous @0 u8 in 0..0",
        f"{place} question",
    ]
    return optional + source.choice(choices)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 30))
def test_random_rules_match_as_the_twin_says(seed: int) -> None:
    source = random.Random(seed)
    lines = []
    for number in range(6):
        payload = ", ".join(f"'{_random_check(source)}'" for _ in range(source.randrange(1, 4)))
        lines.append(
            f"[[protocol]]\nname = \"p{number}\"\n[[protocol.match]]\ntransport = \"udp\"\n"
            f"payload = [{payload}]\nconfidence = {source.choice((0.5, 0.9, 0.95))}\n"
        )  # fmt: skip
    signatures = parse_signatures("".join(lines), "random.toml")
    compiled = compile_signatures(signatures)
    alphabet = source.choice((bytes(range(256)), b"abcAB\x00\x01\x02\x03\x05019 \n"))
    for _ in range(20):
        messages = [
            bytes(source.choice(alphabet) for _ in range(source.randrange(12))) for _ in range(3)
        ]
        growing = source.random() < 0.3
        own, reply, previous = (
            Message(data, len(data) + source.choice((0, 0, 3)), growing) for data in messages
        )
        wanted = best_match(signatures, "udp", (1, 2), own, reply, previous)
        assert kernel_match(compiled, "udp", (1, 2), own, reply, previous) == wanted


@pytest.mark.parametrize("fill", [b"\0", b"A", b"\xff", b"\x16", b"\x30", b"\x80"])
def test_uniform_payload_is_little_work(catalogue: CompiledSignatures, fill: bytes) -> None:
    work = np.zeros(4, np.int64)
    buffer = np.frombuffer(fill * 2_048, np.uint8)
    for transport in range(2):
        match_message(
            catalogue.tables, transport, (1, 2), buffer, (0, 2_048, 65_000), (0, 0, 0), (0, 0, 0),
            transport == 0, 0, work,
        )  # fmt: skip
    assert work[0] < 150
