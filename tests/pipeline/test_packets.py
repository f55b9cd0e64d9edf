"""Lists of packets: what is selected, what Wireshark selects by the same filter, and the bounds."""

import shutil
import subprocess
from pathlib import Path

import polars as pl
import pytest

from fabricscope.errors import CaptureError, ConfigError
from fabricscope.pipeline.packets import Selection, list_packets

CAPTURE = Path(__file__).parents[2] / "pcaps/slow-link.pcap"
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


@pytest.fixture(scope="module")
def ends() -> tuple[str, str]:
    first = list_packets(str(CAPTURE), Selection(), limit=1).frame.row(0, named=True)
    return first["src"], first["dst"]


def test_all_packets_are_counted_and_the_first_are_listed() -> None:
    found = list_packets(str(CAPTURE), Selection(), limit=7)
    assert found.frame["frame"].to_list() == [1, 2, 3, 4, 5, 6, 7]
    assert found.matched == found.scanned > 7
    assert found.first_ns == found.frame["time_ns"][0]
    assert found.display_filter == ""


def test_frames_are_found_by_number_and_told_in_words() -> None:
    found = list_packets(str(CAPTURE), Selection(frames=(3, 9)))
    assert found.frame["frame"].to_list() == [3, 9]
    assert found.matched == 2
    assert found.display_filter == "frame.number in {3, 9}"
    assert "to QP 0x" in found.frame["info"][0]
    assert "PSN" in found.frame["info"][0]


@needs_tshark
@pytest.mark.parametrize("side", ["src", "dst", "host"])
def test_wireshark_selects_the_same_packets_by_the_filter(ends: tuple[str, str], side: str) -> None:
    whole = list_packets(str(CAPTURE), Selection())
    middle = whole.first_ns + 300_000
    selection = Selection(
        **{side: ends[0]}, least_bytes=200, start_ns=whole.first_ns + 1_000, end_ns=middle
    )
    found = list_packets(str(CAPTURE), selection, limit=100_000)
    assert 0 < found.matched < whole.scanned
    run = subprocess.run(
        ["tshark", "-n", "-r", str(CAPTURE), "-Y", found.display_filter, "-T", "fields", "-e",
         "frame.number"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.frame["frame"].to_list() == [int(line) for line in run.stdout.split()]


def test_curves_end_at_what_each_sender_sent(ends: tuple[str, str]) -> None:
    found = list_packets(str(CAPTURE), Selection(), limit=1_000_000)
    sums = found.frame.group_by("src").agg(pl.col("wire_length").sum())
    sent = dict(zip(sums["src"], sums["wire_length"], strict=True))
    assert found.curves
    for name, times, sizes in found.curves:
        assert sizes[-1] == sent[name]
        assert times == sorted(times)
        assert sizes == sorted(sizes)
        assert len(times) <= 400


def test_what_cannot_be_an_address_or_a_capture_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no address"):
        list_packets(str(CAPTURE), Selection(host="<script>"))
    picture = tmp_path / "holiday.jpg"
    picture.write_bytes(b"\xff\xd8\xff\xe0" + bytes(64))
    with pytest.raises(CaptureError):
        list_packets(str(picture), Selection())


def test_other_addresses_are_understood() -> None:
    for address in ("fe80::1", "02:00:00:00:00:01", "lid:7"):
        found = list_packets(str(CAPTURE), Selection(src=address))
        assert found.matched == 0
        assert found.frame.is_empty()
    assert Selection(src="lid:7").display_filter() == "infiniband.lrh.slid == 7"
    assert Selection(dst="02:00:00:00:00:01").display_filter() == "eth.dst == 02:00:00:00:00:01"
