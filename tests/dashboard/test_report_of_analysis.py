"""Both reports of documents that the real analysis made, so that their shapes stay in step."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fabricscope.cli.terminal import print_report
from fabricscope.dashboard.figures.timeline import draw_events
from fabricscope.dashboard.report import render_report
from fabricscope.pipeline.analysis import Options, analyze
from fabricscope.pipeline.document import build_document

CAPTURES = (
    "nccl/ring2_node0.pcap",
    "rdma/linlinw5_rdma_cm.pcap",
    "rdma/iwarp_rdma/read",
    "rdma/infiniband.pcap",
    "rdma/dcbx/dcb_pfc.pcap",
    "rdma/softroce/Roce_PacketSize_2400_stall.pcapng",
)

PAUSES = "rdma/pause/dos攻击 udp flood攻击.pcap"

pytestmark = pytest.mark.slow


def _document(captures: Path, name: str) -> dict[str, Any]:
    return build_document(analyze([str(captures / name)], Options(), lambda *_: None))


@pytest.mark.parametrize("name", CAPTURES)
def test_every_kind_of_capture_can_be_shown(captures: Path, name: str) -> None:
    document = _document(captures, name)
    file = io.StringIO()
    print_report(document, Console(file=file, width=100))
    page = render_report(document)
    text = file.getvalue()
    assert f"{document['capture']['packets']:,}" in text
    for pair in document["queue_pairs"][:5]:
        assert f"0x{pair['dest_qp']:06x}" in text
        assert f"0x{pair['dest_qp']:06x}" in page
    for finding in document["findings"][:3]:
        assert finding["filter"] in text


def test_the_ring_of_a_real_allreduce_is_in_the_table(captures: Path) -> None:
    file = io.StringIO()
    document = _document(captures, "nccl/ring2_node0.pcap")
    print_report(document, Console(file=file, width=140))
    rows = [line.split() for line in file.getvalue().splitlines()]
    ring = [row for row in rows if row[:2] == ["172.30.0.25", "172.30.0.11"]]
    assert ring
    assert ["32", "KiB"] in [ring[0][i : i + 2] for i in range(len(ring[0]))]


def test_pause_frames_are_on_the_timeline(captures: Path) -> None:
    document = _document(captures, PAUSES)
    timeline = document["timeline"]
    assert sum(timeline["pause_frames"]) == 60
    assert len(timeline["pause_frames"]) == len(timeline["packets"])
    assert "Pause" in [trace.name for trace in draw_events(timeline).data]


def test_the_job_of_a_real_ring_is_drawn(captures: Path) -> None:
    document = _document(captures, "collectives/gloo-allreduce-4r-4MiB.pcap")
    file = io.StringIO()
    print_report(document, Console(file=file, width=100))
    text = file.getvalue()
    ring = next(line for line in text.splitlines() if "╭─▶" in line)
    assert sorted(word for word in ring.split() if word.startswith("10.")) == [
        f"10.77.0.{host}" for host in (10, 11, 12, 13)
    ]
    assert "AllReduce" in text
    page = render_report(document)
    assert "collective burst" in page
    assert "Who sends to whom: AllReduce ring 4 MiB" in page
