from pathlib import Path

import pytest

from fabricscope.errors import CaptureError
from fabricscope.pipeline.sources import SingleFile
from fabricscope.records import BATCH_ROWS, allocate_packets
from reference import capture, frames


def _nothing(done: int, total: int | None) -> None:
    """Take progress and do nothing with it."""


def _mirrored(session: int, port: int) -> bytes:
    """Return a packet that a switch mirrored with ERSPAN type II in `session`."""
    inner = frames.ethernet(0x0800, frames.ipv4(17, frames.udp(port, b"payload")))
    header = (1 << 28 | 1 << 16 | session).to_bytes(4, "big") + bytes(4)
    gre = bytes.fromhex("100088be") + bytes(4)
    return frames.ethernet(0x0800, frames.ipv4(47, gre + header + inner))


def test_read_gives_all_records_and_then_none(repository: Path) -> None:
    steps: list[tuple[int, int | None]] = []
    path = repository / "pcaps/ring-allreduce.pcap"
    with SingleFile(str(path), lambda done, total: steps.append((done, total))) as source:
        batch = source.read(allocate_packets(BATCH_ROWS))
        assert batch is not None
        _, packets, decoded = batch
        assert (packets.time_ns.size, decoded) == (1464, False)
        assert source.read(allocate_packets(BATCH_ROWS)) is None
        assert source.can_restart
        assert source.tap_names() == ["ring-allreduce.pcap"]
        [facts] = source.facts()
    assert steps[-1] == (path.stat().st_size, path.stat().st_size)
    assert (facts.path, facts.format, facts.unreadable_bytes) == (str(path), "pcap", 0)


def test_a_look_ahead_loses_nothing(repository: Path) -> None:
    with SingleFile(str(repository / "pcaps/ring-allreduce.pcap"), _nothing) as source:
        assert not source.starts_with_more_taps()
        batch = source.read(allocate_packets(BATCH_ROWS))
        assert batch is not None
        _, packets, decoded = batch
        assert (packets.time_ns.size, decoded) == (1464, True)
        assert source.read(allocate_packets(BATCH_ROWS)) is None


def test_two_interfaces_are_two_taps(tmp_path: Path) -> None:
    data = frames.ethernet(0x0800, frames.ipv4(17, frames.udp(53, b"x")))
    (tmp_path / "one.pcapng").write_bytes(
        capture.write_section()
        + capture.write_interface()
        + capture.write_interface()
        + capture.write_enhanced(1, data, len(data))
    )
    with SingleFile(str(tmp_path / "one.pcapng"), _nothing) as source:
        assert source.starts_with_more_taps()


@pytest.mark.parametrize(("sessions", "several"), [((7, 7), False), ((7, 8), True)])
def test_mirror_sessions_are_taps_also_in_different_batches(
    tmp_path: Path, sessions: tuple[int, int], several: bool
) -> None:
    packets = [(n, _mirrored(session, 1000 + n), 200) for n, session in enumerate(sessions)]
    (tmp_path / "mirror.pcap").write_bytes(capture.write_pcap(packets))
    with SingleFile(str(tmp_path / "mirror.pcap"), _nothing) as source:
        assert source.starts_with_more_taps() is several
    with SingleFile(str(tmp_path / "mirror.pcap"), _nothing) as source:
        columns = allocate_packets(1)
        seen = []
        while batch := source.read(columns):
            view, rows, _ = batch
            from fabricscope.collectors.decode import decode

            decode(view, rows)
            seen.append(source.has_more_taps(rows))
    assert seen == [False, several]


def test_a_missing_file_is_an_error_when_it_is_opened() -> None:
    with pytest.raises(CaptureError, match=r"nothing\.pcap: cannot be read"):
        SingleFile("nothing.pcap", _nothing).__enter__()
