"""One packet dissected, or why not."""

import shutil
from pathlib import Path

import pytest

from fabricscope.errors import DependencyError
from fabricscope.pipeline.dissection import dissect_packet

CAPTURE = Path(__file__).parents[2] / "pcaps/slow-link.pcap"


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_one_packet_is_dissected() -> None:
    packet = dissect_packet(str(CAPTURE), 5)
    assert packet.frame == 5
    assert packet.layers[0].name == "eth"


def test_without_tshark_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(DependencyError, match="apt install tshark"):
        dissect_packet(str(CAPTURE), 5)
