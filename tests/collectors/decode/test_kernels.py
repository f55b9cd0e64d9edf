"""The decoder against its slow twin, on real, mutated and cut packets."""

import random
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabricscope.collectors.decode import decode
from fabricscope.records import allocate_packets, slice_packets
from reference.decode_link import FIRST, decode_packet

UNCOMPILED = bool(numba.config.DISABLE_JIT)
PACKETS_A_FILE = 4 if UNCOMPILED else 40
ROUNDS = 1 if UNCOMPILED else 6
LINK_TYPES = (*sorted(FIRST), 999)


@pytest.fixture(scope="module")
def samples(captures: Path, load: Callable) -> list:
    """Return a few packets of every real capture that the reader can open."""
    records = []
    for folder in ("rdma", "encap", "ndpi/pcap", "nccl"):
        for path in sorted((captures / folder).rglob("*")):
            if path.suffix in (".pcap", ".pcapng", ".cap") and "Pause_Frame" not in path.name:
                records += load(path, PACKETS_A_FILE)
    assert len(records) > 800
    return records


def assert_same(records: list, rows: Callable) -> None:
    for record, got in zip(records, rows(records), strict=True):
        want = decode_packet(*record)
        wrong = {name: (got[name], want[name]) for name in want if got[name] != want[name]}
        assert not wrong, f"{record.data.hex()} {record[1:]}: (kernel, twin) {wrong}"


def test_real_packets(samples: list, rows: Callable) -> None:
    assert_same(samples, rows)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_damaged_packets(samples: list, rows: Callable, seed: int) -> None:
    chance = random.Random(seed)
    damaged = []
    for record in samples:
        data = bytearray(record.data[: chance.choice((100, 200, 2000))])
        for _ in range(chance.choice((0, 1, 1, 2, 3, 6)) if data else 0):
            at = int(len(data) * chance.random() ** 3)
            data[at] = chance.choice((0, 0xFF, 0x45, 0x60, chance.randrange(256)))
        stop = len(data) if chance.random() < 0.5 else chance.randrange(len(data) + 1)
        wire = chance.choice((record.wire_length, len(data), stop, chance.randrange(2000)))
        link_type = record.link_type if chance.random() < 0.9 else chance.choice(LINK_TYPES)
        damaged.append(type(record)(bytes(data[:stop]), wire, link_type))
    assert_same(damaged, rows)


def test_every_cut_of_every_header(captures: Path, load: Callable, rows: Callable) -> None:
    names = ("vxlan", "geneve", "erspan-type-iii-ft-0", "mpls-over-udp", "nsh-over-vxlan-gpe")
    paths = [captures / "encap" / "tcpdump" / f"{name}.pcap" for name in names]
    paths.append(captures / "rdma" / "scapy_roce_uts_hexdumps.pcap")
    for path in paths:
        for record in load(path, 3):
            stops = range(min(len(record.data), 140) + 1)
            assert_same([record._replace(data=record.data[:stop]) for stop in stops], rows)


@given(data=st.binary(max_size=120), extra=st.integers(0, 2000), link=st.sampled_from(LINK_TYPES))
@settings(max_examples=50 if UNCOMPILED else 300, deadline=None)
def test_arbitrary_bytes(
    record: Callable, rows: Callable, data: bytes, extra: int, link: int
) -> None:
    assert_same([record(data, len(data) + extra, link)], rows)


def test_bytes_around_a_record_do_not_matter(samples: list, rows: Callable) -> None:
    cut = [r._replace(data=r.data[: 14 + i % 90]) for i, r in enumerate(samples)]
    for filler in (0x00, 0x45, 0xFF):
        assert rows(cut, filler) == rows(cut, 0xEE)


def test_an_empty_batch_is_left_alone() -> None:
    decode(np.zeros(0, np.uint8), slice_packets(allocate_packets(4), 0, 0))


def test_writable_and_read_only_views_agree(samples: list) -> None:
    data = samples[0].data
    packets = [allocate_packets(1) for _ in range(2)]
    for each, writable in zip(packets, (True, False), strict=True):
        view = np.frombuffer(bytearray(data), np.uint8)
        view.flags.writeable = writable
        each.captured_length[:] = each.wire_length[:] = len(data)
        each.link_type[:] = samples[0].link_type
        decode(view, each)
    assert all(a.tolist() == b.tolist() for a, b in zip(*packets, strict=True))
