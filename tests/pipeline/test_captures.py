"""One capture into its document."""

from pathlib import Path

from fabricscope.pipeline.captures import analyze_capture

CAPTURE = Path(__file__).parents[2] / "pcaps/slow-link.pcap"


def test_the_document_is_that_of_analyze_and_progress_is_told() -> None:
    seen: list[tuple[int, int | None]] = []
    document = analyze_capture(str(CAPTURE), lambda done, total: seen.append((done, total)))
    assert document["schema"] == "fabricscope/1"
    assert document["collectives"][0]["straggler"]["kind"] == "link"
    assert seen[-1][0] == CAPTURE.stat().st_size
