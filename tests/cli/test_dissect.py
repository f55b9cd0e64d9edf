"""Dissected packets on a terminal and in a pipe."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from fabricscope.cli.dissect import print_dissection, print_packets
from fabricscope.collectors.dissect import DissectedField, DissectedLayer, DissectedPacket
from fabricscope.errors import ConfigError

FIELDS = (
    DissectedField("ip.dsfield", "Differentiated Services Field: 0x02", 0),
    DissectedField("ip.dsfield.ecn", ".... ..10 = ECN: [red]\x1b[31m", 1),
    DissectedField("ip.ttl", "Time to Live: 64", 0),
)
PACKET = DissectedPacket(7, "now", 1500, 128, (DissectedLayer("ip", FIELDS),))


def _shown(terminal: bool, encoding: str = "utf-8") -> list[str]:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    console = Console(file=file, width=80, force_terminal=terminal, color_system=None)
    print_packets([PACKET, PACKET], console)
    return raw.getvalue().decode(encoding).splitlines()


def test_a_pipe_gets_indented_lines() -> None:
    assert _shown(terminal=False)[:6] == [
        "Frame 7  now  1,500 bytes, 128 captured",
        "  ip",
        "    Differentiated Services Field: 0x02",
        "      .... ..10 = ECN: [red]\\x1b[31m",
        "    Time to Live: 64",
        "",
    ]


def test_a_terminal_gets_a_tree() -> None:
    assert _shown(terminal=True)[:5] == [
        "Frame 7  now  1,500 bytes, 128 captured",
        "└── ip",
        "    ├── Differentiated Services Field: 0x02",
        "    │   └── .... ..10 = ECN: [red]\\x1b[31m",
        "    └── Time to Live: 64",
    ]


def test_a_terminal_without_unicode_gets_lines() -> None:
    assert _shown(terminal=True, encoding="ascii")[1] == "  ip"


def test_frames_are_dissected_from_a_list(captures: Path, tshark: str) -> None:
    file = io.StringIO()
    path = str(captures / "rdma" / "linlinw5_rping.pcap")
    print_dissection(path, "12-13", Console(file=file, width=100))
    text = file.getvalue()
    assert text.count("Frame 1") == 2
    assert "RDMA WRITE Only (10)" in text
    assert "Destination Queue Pair: 0x00002c" in text


def test_a_wrong_list_is_refused_before_anything_is_read() -> None:
    with pytest.raises(ConfigError, match="frame numbers and ranges"):
        print_dissection("/nonexistent", "ten", Console(file=io.StringIO()))
