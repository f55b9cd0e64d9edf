"""Signature files: what is accepted, and what an error says."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabricscope.analyzers.dpi.checks import CheckError, parse_check
from fabricscope.analyzers.dpi.compiler import compile_signatures, first_bytes
from fabricscope.analyzers.dpi.signatures import merge_signatures, parse_signatures
from fabricscope.errors import ConfigError

GOOD = """
[[protocol]]
name = "one"
tcp_ports = [80]
[[protocol.match]]
transport = "tcp"
payload = ['@0 text "ab"']

[[protocol]]
name = "two"
[[protocol.match]]
transport = ["tcp", "udp"]
payload = ['@0 hex 0? 01', 'length >= 4']
reply = ['@0 u8 == 1']
confidence = 0.5
"""


def test_a_good_file_is_read() -> None:
    one, two = parse_signatures(GOOD, "good.toml")
    assert (one.name, one.tcp_ports) == ("one", (80,))
    assert two.matches[0].transports == ("tcp", "udp")
    assert two.matches[0].confidence == 0.5


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "reason"),
    [
        ('name = "two"', 'name = "Two"', 10, "name", "lower-case"),
        ('name = "two"', "name = 2", 10, "name", "lower-case"),
        ('name = "two"', 'name = "two"\ncolour = 1', 11, "colour", "unknown key"),
        ("confidence = 0.5", "confidence = 7", 15, "confidence", "0.1 to 1"),
        ("confidence = 0.5", "confidence = true", 15, "confidence", "0.1 to 1"),
        ("tcp_ports = [80]", "tcp_ports = [80000]", 4, "tcp_ports", "65535"),
        ("tcp_ports = [80]", 'tcp_ports = "80"', 4, "tcp_ports", "list"),
        ('transport = "tcp"', 'transport = "ipx"', 6, "transport", "one or more of tcp"),
        ("payload = ['@0 text \"ab\"']", "payload = []", 7, "payload", "at least one"),
        ("payload = ['@0 text \"ab\"']", "x = 1", 7, "x", "unknown key"),
        ('@0 text "ab"', "@0 text ab", 7, "payload", "double quotes"),
        ("@0 hex 0? 01", "@0 hex 0", 13, "payload", "hexadecimal"),
        ("'@0 u8 == 1'", "'@0 u9 == 1'", 14, "reply", "u9"),
        ("'@0 u8 == 1'", "'@0 u8 in 5..1'", 14, "reply", "empty"),
        ("'length >= 4'", "'@9999 u8 == 1'", 13, "payload", "at most 2047"),
        ("'@0 u8 == 1'", "'@0 u8 == 256'", 14, "reply", "never holds: u8 is 0 to 255"),
        ("'@0 u8 == 1'", "'@0 u16le in {-5..-1, 70000}'", 14, "reply", "never holds"),
        ("'@0 u8 == 1'", "'@0 u32be >= 0'", 14, "reply", "always holds"),
        ("'@0 u8 == 1'", "'@0 u8 & 0x0f <= 15'", 14, "reply", "always holds: u8 & 0x0f is 0"),
        ('name = "two"', 'name = "one"', 10, "name", "one is in this file already"),
        ("reply = ['@0 u8 == 1']", "require_reply = true", 14, "require_reply", "no conditions"),
    ],
)
def test_errors_name_file_line_key_and_reason(
    old: str, new: str, line: int, key: str, reason: str
) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        parse_signatures(GOOD.replace(old, new), "bad.toml")
    message = str(caught.value)
    assert message.startswith(f"bad.toml, line {line}: {key}: ")
    assert reason in message
    assert "\n" not in message


@pytest.mark.parametrize("text", ["", "x = 1", "[[protocol]", "protocol = 3", "[protocol]\n", "\0"])
def test_other_documents_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^bad\.toml"):
        parse_signatures(text, "bad.toml")


def test_long_texts_are_shown_by_their_beginning() -> None:
    text = GOOD.replace('"ab"', " | ".join(f'"{number}"' for number in range(3_000)))
    with pytest.raises(ConfigError, match="at most 64 alternatives") as caught:
        parse_signatures(text, "long.toml")
    assert len(str(caught.value)) < 200


@given(st.text(max_size=60))
def test_any_text_parses_or_is_a_check_error(text: str) -> None:
    try:
        parse_check(text)
    except CheckError:
        return


@given(st.integers(0, len(GOOD)), st.text(max_size=3))
def test_damaged_files_raise_the_documented_error_only(at: int, inserted: str) -> None:
    text = GOOD[:at] + inserted + GOOD[at + 1 :]
    with contextlib.suppress(ConfigError):
        compile_signatures(parse_signatures(text, "damaged.toml"))


def test_a_later_file_replaces_a_protocol() -> None:
    first = parse_signatures(GOOD, "a.toml")
    second = parse_signatures(GOOD.replace("tcp_ports = [80]", "tcp_ports = [81]"), "b.toml")
    merged = merge_signatures([first, second])
    assert [signature.name for signature in merged] == ["one", "two"]
    assert merged[0].tcp_ports == (81,)


def test_first_bytes_limit_the_buckets() -> None:
    def of(*texts: str) -> list[int]:
        return first_bytes(tuple(parse_check(text) for text in texts))

    assert of("@0 hex 1?") == list(range(0x10, 0x20))
    assert of('@0 itext "a" | "B"') == [0x41, 0x42, 0x61, 0x62]
    assert of("@0 u16be in 0x0100..0x02ff") == [1, 2]
    assert of("@0 u8 & 0xf0 == 0x40") == list(range(0x40, 0x50))
    assert len(of("?@0 hex 10")) == 256
    assert of("@0 hex 1?", "@0 u8 == 0x12") == [0x12]
