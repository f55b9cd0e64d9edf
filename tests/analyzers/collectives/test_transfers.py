"""The kernel that cuts transfers against its slow twin, and what joins transfers again."""

import numba
import numpy as np
import pytest

from fabricscope.analyzers.collectives import layout
from fabricscope.analyzers.collectives.analyzer import CollectiveAnalyzer
from fabricscope.analyzers.collectives.transfers.kernels import (
    close_acks,
    close_transfer,
    follow_transfers,
)
from fabricscope.records import FLAG_DUPLICATE, Packets, allocate_packets
from reference import collectives as twin

COMPILED = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="the analyzer's records have no attributes uncompiled"
)
Batch = tuple[Packets, np.ndarray, np.ndarray, np.ndarray]


def records(rows: int, dtype: np.dtype) -> np.ndarray:
    """Return zeroed records, with fields as attributes where kernels run uncompiled."""
    table = np.zeros(rows, dtype)
    return table.view(np.recarray) if numba.config.DISABLE_JIT else table


def new_state(channels: int = 64, transfers: int = 20_000) -> layout.TransferState:
    return layout.TransferState(
        np.zeros(64, np.int32),
        np.zeros(32, np.int32),
        records(channels, layout.CHANNEL_DTYPE),
        records(transfers, layout.TRANSFER_DTYPE),
        np.zeros(2, np.int64),
        np.zeros(len(layout.COUNTERS), np.int64),
    )


def finish(state: layout.TransferState) -> list[list[int]]:
    for channel in range(int(state.cursor[0])):
        close_transfer(state, channel, False)
        close_acks(state, channel)
    used = state.transfers[: int(state.cursor[1])]
    fields = ("start_ns", "end_ns", "bytes", "channel", "packets", "kind")
    return [[int(row[name]) for name in fields] for row in used]


def dictionaries(batch: Batch) -> list[dict[str, int]]:
    packets, flow, side, queue_pair = batch
    return [
        {
            "time": int(packets.time_ns[k]),
            "opcode": int(packets.opcode[k]),
            "psn": int(packets.psn[k]),
            "payload": int(packets.payload_length[k]),
            "dma": int(packets.dma_length[k]),
            "seq": int(packets.tcp_seq[k]),
            "tcp_flags": int(packets.tcp_flags[k]),
            "tcp": int(packets.ip_protocol[k] == 6),
            "duplicate": int(packets.flags[k] & FLAG_DUPLICATE != 0),
            "flow": int(flow[k]),
            "side": int(side[k]),
            "queue_pair": int(queue_pair[k]),
        }
        for k in range(packets.time_ns.size)
    ]


def rdma_batch(rng: np.random.Generator, count: int) -> Batch:
    """Return messages on a few queue pairs, with losses, repetitions and wild packets."""
    packets = allocate_packets(count)
    queue_pair = rng.integers(0, 6, count)
    psn = {k: int(rng.integers(0, 1 << 24)) for k in range(6)}
    left = dict.fromkeys(range(6), 0)
    now = 1_000_000
    for k in range(count):
        slot = int(queue_pair[k])
        now += int(rng.choice([100, 1_000, 30_000], p=[0.8, 0.15, 0.05]))
        packets.time_ns[k] = now
        draw = rng.random()
        if draw < 0.1:
            packets.opcode[k] = 17
            continue
        if draw < 0.15:  # missed by the mirror
            psn[slot] = (psn[slot] + int(rng.integers(1, 5))) % (1 << 24)
        repeated = 0.15 <= draw < 0.2
        size = 1_024
        if draw > 0.98:
            opcode = int(rng.integers(0, 256))
        elif left[slot] == 0:
            total = int(rng.choice([0, 64, 1_024, 8_192, 10_000]))
            packets.dma_length[k] = total if rng.random() < 0.9 else 0  # cut short of the RETH
            opcode = 6 if total > size else int(rng.choice([10, 11]))
            left[slot] = max(0, -(-total // size) - 1)
            size = min(size, total)
        else:
            left[slot] -= 1
            opcode = 7 if left[slot] else int(rng.choice([8, 9]))
        packets.opcode[k] = opcode
        packets.payload_length[k] = size
        packets.psn[k] = (psn[slot] - 1 if repeated else psn[slot]) % (1 << 24)
        if not repeated:
            psn[slot] = (psn[slot] + 1) % (1 << 24)
    packets.flags[:] = np.where(rng.random(count) < 0.02, FLAG_DUPLICATE, 0)
    return packets, np.zeros(count, np.int64), np.zeros(count, np.uint8), queue_pair


def tcp_batch(rng: np.random.Generator, count: int) -> Batch:
    """Return segments of a few connections, with holes, repetitions and sequence wraps."""
    packets = allocate_packets(count)
    flow = rng.integers(-1, 4, count)
    side = rng.integers(0, 2, count).astype(np.uint8)
    sequence = {(f, s): int(rng.integers(0, 1 << 32)) for f in range(-1, 4) for s in (0, 1)}
    now = 1_000_000
    for k in range(count):
        key = (int(flow[k]), int(side[k]))
        now += int(rng.choice([1_000, 100_000, 5_000_000], p=[0.8, 0.15, 0.05]))
        packets.time_ns[k] = now
        size = int(rng.choice([0, 48, 256, 257, 700, 8_948], p=[0.1, 0.2, 0.05, 0.05, 0.1, 0.5]))
        jump = int(rng.choice([0, 1_448, -2_000, 1 << 25], p=[0.9, 0.04, 0.04, 0.02]))
        packets.tcp_seq[k] = (sequence[key] + jump) % (1 << 32)
        sequence[key] = (sequence[key] + max(jump, 0) + size) % (1 << 32)
        packets.payload_length[k] = size
        packets.tcp_flags[k] = 16 | (8 if rng.random() < 0.3 else 0)
    packets.ip_protocol[:] = np.where(rng.random(count) < 0.97, 6, 17)
    return packets, flow, side, np.full(count, -1, np.int64)


@pytest.mark.parametrize("make", [rdma_batch, tcp_batch])
@pytest.mark.parametrize("seed", range(6))
def test_transfers_are_those_of_the_twin(make, seed: int) -> None:
    rng = np.random.default_rng(seed)
    batch = make(rng, 1_500)
    state = new_state()
    half = 700
    for part in (slice(0, half), slice(half, None)):
        packets = Packets(*(column[part] for column in batch[0]))
        follow_transfers(state, packets, *(column[part] for column in batch[1:]))
    assert finish(state) == twin.cut_transfers(dictionaries(batch))


def test_bytes_that_the_mirror_missed_are_counted() -> None:
    sizes = [1_024] * 8
    packets = allocate_packets(16)
    packets.time_ns[:] = np.arange(16) * 1_000
    packets.opcode[:] = ([6] + [7] * 6 + [9]) * 2
    packets.payload_length[:] = sizes * 2
    packets.dma_length[::8] = sum(sizes)
    packets.psn[:] = np.arange(16)
    for missing in range(1, 15):
        kept = np.arange(16) != missing
        state = new_state()
        rows = Packets(*(column[kept] for column in packets))
        none = np.zeros(15, np.int64)
        follow_transfers(state, rows, none, none.astype(np.uint8), none)
        assert sum(row[2] for row in finish(state)) == 2 * sum(sizes), missing
        assert state.counters[layout.COUNTERS.index("lost_packets")] == 1


def test_bounds_are_kept_and_counted() -> None:
    batch = rdma_batch(np.random.default_rng(3), 2_000)
    state = new_state(channels=2, transfers=50)
    follow_transfers(state, *batch)
    assert state.cursor.tolist() == [2, 50]
    counters = dict(zip(layout.COUNTERS, state.counters.tolist(), strict=True))
    assert counters["channels_dropped"] > 0
    assert counters["transfers_dropped"] > 0


def test_repetitions_prolong_the_message_that_they_belong_to() -> None:
    packets = allocate_packets(5)
    packets.time_ns[:] = (1_000, 2_000, 3_000, 9_000, 9_500)
    packets.opcode[:] = 11
    packets.payload_length[:] = 1_024
    packets.dma_length[:] = 1_024
    packets.psn[:] = (7, 8, 9, 7, 8)
    state = new_state()
    none = np.zeros(5, np.int64)
    follow_transfers(state, packets, none, none.astype(np.uint8), none)
    assert [row[1] for row in finish(state)] == [9_000, 9_500, 3_000]
    assert state.transfers["passed_ns"][:3].tolist() == [1_000, 2_000, 3_000]
    assert state.transfers["psn"][:3].tolist() == [7, 8, 9]


def second_of(second: int, connections: int) -> Batch:
    """Return messages of one queue pair, and TCP connections that were not there before."""
    packets = allocate_packets(connections + 2)
    packets.time_ns[:] = (second + 1) * 10**9 + np.arange(connections + 2) * 1_000
    packets.ip_protocol[:], packets.flags[:] = 6, 0
    packets.payload_length[:], packets.tcp_flags[:], packets.tcp_seq[:] = 1_000, 8, 1
    packets.opcode[:2], packets.psn[:2] = 11, 2 * second + np.arange(2)
    packets.src_lo[:], packets.dst_lo[:] = 1 + np.arange(connections + 2), 100
    flow = np.arange(connections + 2) + second % 2 * connections
    queue_pair = np.full(connections + 2, -1)
    queue_pair[:2] = 3
    return packets, flow, np.zeros(connections + 2, np.uint8), queue_pair


@COMPILED
@pytest.mark.parametrize("connections", [2, 20])
def test_channels_without_transfers_make_room(connections: int) -> None:
    analyzer = CollectiveAnalyzer(
        flow_capacity=64, queue_pair_capacity=8, max_channels=64, max_transfers=1_024
    )
    for second in range(60):
        batch = second_of(second, connections)
        analyzer.update(*batch)
        analyzer.flow_closed(np.unique(batch[1]))
        analyzer.forget_before((second - 19) * 10**9)
        channels, transfers = analyzer.snapshot()
        over_rdma = channels["qp"][transfers["channel"]] == 3
        assert over_rdma.sum() == 2 * min(second + 1, 21)
        assert (transfers["bytes"] == 1_000).all()
        assert (channels["lost"] == 0).all()
        newest = transfers["start_ns"] >= batch[0].time_ns[0]
        assert newest.sum() == connections + 2
    assert analyzer.counters["channels_dropped"] == 0


@COMPILED
def test_channels_follow_their_queue_pairs() -> None:
    analyzer = CollectiveAnalyzer(flow_capacity=64, queue_pair_capacity=8)
    packets, flow, side, queue_pair = second_of(0, 2)
    queue_pair[:] = [3, 5, 6, -1]
    packets.opcode[:] = 11
    analyzer.update(packets, flow, side, queue_pair)
    analyzer.queue_pairs_moved(np.array([-1, -1, -1, -1, -1, 0, 1], np.int64))
    assert analyzer.channels["qp"].tolist() == [0, 1, -1]
    assert analyzer.channels["src_lo"].tolist() == [2, 3, 4]
    assert analyzer.transfers["channel"].tolist() == [0, 1]
    later, flow, side, queue_pair = second_of(1, 2)
    queue_pair[:] = [0, 1, 2, -1]
    later.opcode[:], later.psn[:] = 11, packets.psn[1]
    flow[3] = 3
    later.psn[:2] = packets.psn[1:3] + 1
    analyzer.update(later, flow, side, queue_pair)
    assert analyzer.channels["qp"].tolist() == [0, 1, -1, 2]
    assert (analyzer.channels["lost"] == 0).all()
