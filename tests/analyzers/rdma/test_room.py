"""The queue-pair table makes room for those that come, and leaves those that stay as they are."""

import numpy as np
import pytest

from fabricscope.analyzers.flows import FlowTable
from fabricscope.analyzers.rdma import layout
from fabricscope.analyzers.rdma.table import QueuePairTable
from fabricscope.records import Packets, slice_packets
from reference.rdma_traffic import EXACT, follow, key_of, random_rows

pytestmark = pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # hashes, uncompiled


def generations(number: int) -> Packets:
    """Return jobs that are started anew every 80 s, with a connection that stays among them."""
    rows = 40 * number
    packets = random_rows(np.random.default_rng(7), rows)
    which = np.arange(rows) // 40
    stays = np.arange(rows) % 4 == 0
    steps = np.arange(rows) % 40
    packets.time_ns[:] = 10**18 + which * 80 * 10**9 + steps * 10**9
    packets.dest_qp[:] = np.where(stays, 17, 100 + 10 * which + steps % 10)
    packets.opcode[:] = np.where(packets.opcode == 0x81, 0x81, packets.opcode & 31)
    packets.source_qp[:] = packets.flags[:] = packets.tunnel_kinds[:] = 0
    return packets


def test_directions_that_fell_silent_make_room_and_others_stay_as_they_are() -> None:
    packets = generations(20)
    whole = follow(packets, 40)
    flows = FlowTable(capacity=4096)
    small = QueuePairTable(capacity=128, flow_capacity=4096, queue_entries=1_024)
    moves = 0
    for start in range(0, packets.time_ns.size, 40):
        part = slice_packets(packets, start, start + 40)
        flow, slots, side = np.zeros(40, np.int64), np.zeros(40, np.int64), np.zeros(40, np.uint8)
        closed = flows.update(part, flow, side)
        small.update(part, flow, side, slots)
        assert (slots >= 0).all()
        assert small.queue_pairs["dest_qp"][slots].tolist() == part.dest_qp.tolist()
        flows.release(closed)
        before = small.queue_pairs[["src_lo", "dest_qp"]].tolist()
        moved = small.make_room(int(part.time_ns[-1]))
        if moved is not None:
            moves += 1
            after = small.queue_pairs[["src_lo", "dest_qp"]].tolist()
            assert [one for one, new in zip(before, moved, strict=True) if new >= 0] == after
        for kind in range(layout.EVENT_KINDS):
            assert (small.events(kind)["qp"] < small.slots).all()
    assert moves > 1
    assert small.counters["unassigned"] == 0
    found = {key_of(qp): qp for qp in small.queue_pairs}
    lasting = [qp for qp in whole.queue_pairs if qp["dest_qp"] == 17]
    assert len(lasting) == 4
    for qp in lasting:
        # Whose answers a packet may be depends on those that were forgotten; this does not.
        for name in (*EXACT, "gaps", "first_ns", "last_ns"):
            assert qp[name] == found[key_of(qp)][name], name


@pytest.mark.parametrize("seed", range(2))
def test_making_room_changes_nothing_for_those_that_stay(seed: int) -> None:
    packets = random_rows(np.random.default_rng(seed), 800)
    plain = follow(packets, 40)
    flows = FlowTable(capacity=4096)
    table = QueuePairTable(capacity=512, flow_capacity=4096)
    for start in range(0, 800, 40):
        part = slice_packets(packets, start, start + 40)
        flow, slots, side = np.zeros(40, np.int64), np.zeros(40, np.int64), np.zeros(40, np.uint8)
        closed = flows.update(part, flow, side)
        table.update(part, flow, side, slots)
        flows.release(closed)
        table.make_room(int(part.time_ns[-1]), always=True)
    table.finish()
    assert table.counters == plain.counters
    for name in layout.QP_DTYPE.names or ():
        assert np.array_equal(table.queue_pairs[name], plain.queue_pairs[name]), name


def test_old_events_make_room_for_new_ones() -> None:
    packets = random_rows(np.random.default_rng(3), 800)
    table = follow(packets, 800)
    kinds = range(layout.EVENT_KINDS)
    middle = int(np.median(np.concatenate([table.events(kind)["time_ns"] for kind in kinds])))
    wanted = [table.events(kind)[table.events(kind)["time_ns"] >= middle].copy() for kind in kinds]
    table.forget_events(middle)
    assert sum(map(len, wanted)) > 10
    for kind in kinds:
        assert np.array_equal(table.events(kind), wanted[kind])
