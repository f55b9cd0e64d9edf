"""What a file is, by its first bytes."""

from pathlib import Path

import pytest

from fabricscope.collectors.capture.formats import (
    FOREIGN_CAPTURES,
    FOREIGN_COMPRESSIONS,
    OTHER_FILES,
    recognise,
)
from reference import capture as reference


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", sorted(reference.PCAP_MAGICS))
def test_pcap_variants(kind: str, order: str) -> None:
    head = reference.write_pcap([], kind, order)
    assert recognise(head).kind == "pcap"
    cut = recognise(head[:-1])
    assert cut.kind == ""
    assert f"{len(head) - 1} of {len(head)} bytes" in cut.problem


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng(order: str) -> None:
    head = reference.write_section(order)
    assert recognise(head).kind == "pcapng"
    assert "cut inside" in recognise(head[:27]).problem
    assert "byte-order magic" in recognise(head[:8] + bytes(20)).problem


def test_compressions() -> None:
    assert recognise(b"\x1f\x8b\x08\0").kind == "gzip"
    assert recognise(b"\x28\xb5\x2f\xfd\0").kind == "zstd"
    skippable = b"\x53\x2a\x4d\x18\x02\0\0\0hi"
    assert recognise(skippable + b"\x28\xb5\x2f\xfd").kind == "zstd"
    assert recognise(skippable + b"else").kind == ""


@pytest.mark.parametrize(("magic", "name"), FOREIGN_CAPTURES)
def test_foreign_captures_get_advice(magic: bytes, name: str) -> None:
    found = recognise(magic + bytes(100))
    assert found.kind == ""
    assert name in found.problem
    assert "editcap" in found.problem


@pytest.mark.parametrize(("magic", "name", "tool"), FOREIGN_COMPRESSIONS)
def test_foreign_compressions_get_advice(magic: bytes, name: str, tool: str) -> None:
    problem = recognise(magic + bytes(100)).problem
    assert name in problem
    assert tool in problem


@pytest.mark.parametrize(("magic", "name"), OTHER_FILES)
def test_other_files_are_named(magic: bytes, name: str) -> None:
    assert recognise(magic + bytes(100)).problem == f"is {name}, not a capture"


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        (b"", "is empty"),
        (b"hello world\n" * 9, "is a text file"),
        ("caf\u00e9 \u2603\n".encode() * 99, "is a text file"),
        (bytes(257) + b"ustar\0", "is a tar archive"),
        (b"\x80\x81\x82\x83", "in no known capture format (it starts with 80 81 82 83)"),
    ],
)
def test_what_else_people_open(head: bytes, problem: str) -> None:
    found = recognise(head)
    assert found.kind == ""
    assert problem in found.problem


def test_every_prefix_of_real_files_has_a_verdict(captures: Path) -> None:
    for path in sorted((captures / "malformed").rglob("*")):
        if path.is_file():
            head = path.read_bytes()[:300]
            for size in range(0, len(head), 3):
                kind, problem = recognise(head[:size])
                assert bool(kind) != bool(problem)
