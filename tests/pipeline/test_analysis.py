import os
import struct
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from examples.analyses import Analyze

from fabricscope.collectors.decode import decode
from fabricscope.errors import CaptureError
from fabricscope.pipeline import analysis as pipeline
from fabricscope.pipeline.analysis import Options, analyze
from fabricscope.records import BATCH_ROWS
from reference import capture, frames

pytestmark = pytest.mark.skipif(
    bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="whole captures take hours uncompiled"
)


def _nothing(done: int, total: int | None) -> None:
    """Take progress and do nothing with it."""


def _ring(repository: Path) -> list[tuple[int, bytes, int]]:
    """Return the packets of a shipped capture as (time_ns, bytes, wire length)."""
    data = (repository / "pcaps/ring-allreduce.pcap").read_bytes()
    return [
        (row.time_ns, data[row.offset : row.offset + row.captured], row.wire)
        for row in capture.read_pcap(data)
    ]


def _write_flows(path: Path, flows: int, rounds: int = 1) -> None:
    """Write `rounds` packets of each of `flows` UDP flows, a microsecond apart."""
    head = bytearray(frames.ethernet(0x0800, frames.ipv4(17, frames.udp(7, b"12345678"))))
    source, port = 14 + 12, 14 + 20
    packets = []
    for number in range(flows * rounds):
        flow = number % flows
        head[source + 1 : source + 4] = (flow >> 8).to_bytes(3, "big")
        head[port : port + 2] = struct.pack(">H", 1024 + (flow & 0xFF))
        packets.append((number * 1000, bytes(head), len(head)))
    path.write_bytes(capture.write_pcap(packets))


@pytest.mark.parametrize("threads", [2, 4, 64])
def test_the_number_of_threads_changes_nothing(
    load_capture: Path, document_of: Analyze, threads: int
) -> None:
    assert document_of(load_capture, threads=threads) == document_of(load_capture, threads=1)


def test_truth_of_the_load_is_found(load_capture: Path, document_of: Analyze) -> None:
    document = document_of(load_capture, threads=2)
    assert document["capture"]["packets"] > 3 * BATCH_ROWS
    assert document["protocols"]["roce_v2"] == document["capture"]["packets"]


def test_a_small_flow_table_counts_what_it_closes(tmp_path: Path, document_of: Analyze) -> None:
    """Three times as many flows as fit: every packet counted, every flow listed or counted."""
    flows = 200_000
    _write_flows(tmp_path / "many.pcap", flows)
    small = document_of(tmp_path / "many.pcap", threads=1, flow_capacity=65_536)
    large = document_of(tmp_path / "many.pcap", threads=1)
    assert small["capture"]["packets"] == flows
    assert small["flows_evicted"] > 0
    assert large["flows_total"] == flows
    unassigned = flows - small["flows_total"]
    assert 0 <= unassigned < flows / 2
    for document in (small, large):
        assert document["protocols"]["udp"] == flows
        assert document["flows_listed"] == 10_000
    of_threads = document_of(tmp_path / "many.pcap", threads=4, flow_capacity=65_536)
    assert of_threads == small


def test_one_capture_given_twice_is_one_capture(
    repository: Path, tmp_path: Path, document_of: Analyze
) -> None:
    path = repository / "pcaps/ring-allreduce.pcap"
    (tmp_path / "copy.pcap").write_bytes(path.read_bytes())
    one = document_of(path)
    two = document_of(path, tmp_path / "copy.pcap")
    assert two["capture"]["packets"] == 2 * one["capture"]["packets"]
    assert two["capture"]["duplicate_packets"] == one["capture"]["packets"]
    assert two["protocols"] == one["protocols"]
    assert [tap["packets"] for tap in two["capture"]["taps"]] == [1464, 1464]
    names = ("src", "dst", "dest_qp", "messages", "acks", "payload_bytes", "retransmissions")
    assert _table(two["queue_pairs"], names) == _table(one["queue_pairs"], names)


def _table(rows: list[dict[str, Any]], names: tuple[str, ...]) -> list[tuple[Any, ...]]:
    return sorted(tuple(row[name] for name in names) for row in rows)


def _two_interfaces(repository: Path) -> bytes:
    """Return pcapng that has each packet of the ring twice: once from each of two interfaces."""
    blocks = [capture.write_section()]
    for name in (b"leaf0", b"leaf1"):
        blocks.append(capture.write_interface(options={2: name, 9: b"\x09"}))
    for time_ns, data, wire in _ring(repository):
        blocks.append(capture.write_enhanced(time_ns, data, wire, interface=0))
        blocks.append(capture.write_enhanced(time_ns + 300, data, wire, interface=1))
    return b"".join(blocks)


def test_two_interfaces_of_one_file_are_two_taps(
    repository: Path, tmp_path: Path, document_of: Analyze
) -> None:
    (tmp_path / "two.pcapng").write_bytes(_two_interfaces(repository))
    document = document_of(tmp_path / "two.pcapng", threads=4)
    assert document["capture"]["packets"] == 2 * 1464
    assert document["capture"]["duplicate_packets"] == 1464
    assert [tap["packets"] for tap in document["capture"]["taps"]] == [1464, 1464]
    assert "leaf0" in document["capture"]["taps"][0]["name"]
    assert sum(pair["retransmissions"] for pair in document["queue_pairs"]) == 0


def test_two_interfaces_on_a_pipe_are_two_taps(
    repository: Path, tmp_path: Path, document_of: Analyze
) -> None:
    os.mkfifo(tmp_path / "pipe")
    feeder = threading.Thread(
        target=(tmp_path / "pipe").write_bytes, args=(_two_interfaces(repository),)
    )
    feeder.start()
    document = document_of(tmp_path / "pipe")
    feeder.join(60)
    assert document["capture"]["duplicate_packets"] == 1464
    assert [tap["packets"] for tap in document["capture"]["taps"]] == [1464, 1464]
    assert sum(pair["retransmissions"] for pair in document["queue_pairs"]) == 0


def test_two_mirror_sessions_of_one_file_are_two_taps(
    repository: Path, tmp_path: Path, document_of: Analyze
) -> None:
    """The second session begins after several batches, so that the file is begun again."""
    mirrored = []
    for number, (time_ns, data, _) in enumerate(_ring(repository) * 12):
        session = 5 if number < 1464 * 11 else 6
        gre = bytes.fromhex("100088be") + number.to_bytes(4, "big")
        erspan = (1 << 28 | session).to_bytes(4, "big") + bytes(4)
        outer = frames.ethernet(0x0800, frames.ipv4(47, gre + erspan + data))
        mirrored.append((time_ns + 10**6 * (number // 1464), outer, len(outer)))
    (tmp_path / "mirror.pcap").write_bytes(capture.write_pcap(mirrored))
    document = document_of(tmp_path / "mirror.pcap", threads=2)
    taps = document["capture"]["taps"]
    assert document["capture"]["packets"] == 12 * 1464
    assert sorted(tap["packets"] for tap in taps) == [1464, 11 * 1464]


def test_an_empty_capture_has_an_empty_document(tmp_path: Path, document_of: Analyze) -> None:
    (tmp_path / "empty.pcap").write_bytes(capture.write_pcap([]))
    document = document_of(tmp_path / "empty.pcap")
    assert document["capture"]["packets"] == 0
    assert document["capture"]["start"] is None
    assert document["flows"] == document["queue_pairs"] == []


@pytest.mark.parametrize("threads", [1, 4])
def test_the_failure_of_one_thread_ends_all(
    load_capture: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    calls = iter(range(10**6))

    def fail_at_third(view: np.ndarray, packets: Any) -> None:
        if next(calls) == 2:
            raise ZeroDivisionError("third batch")
        decode(view, packets)

    monkeypatch.setattr(pipeline, "decode", fail_at_third)
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError, match="third batch"):
        analyze([str(load_capture)], Options(threads=threads), _nothing)
    assert threading.active_count() == before


def test_an_interrupt_ends_all_threads(load_capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is told from a thread that reads; what it raises ends the run."""

    def interrupt(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        analyze([str(load_capture)], Options(threads=3), interrupt)
    assert threading.active_count() == before


def test_a_missing_capture_is_an_error() -> None:
    with pytest.raises(CaptureError, match="cannot be read"):
        analyze(["nothing.pcap"], Options(), _nothing)
