"""The queue-pair table against its slow twin: generated and random traffic, and its bounds."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from fabricscope.analyzers.flows import FlowTable
from fabricscope.analyzers.flows.identity.kernels import tunnel_key_of
from fabricscope.analyzers.rdma import layout
from fabricscope.analyzers.rdma.table import QueuePairTable
from fabricscope.analyzers.sketch.quantiles import percentile
from fabricscope.collectors.capture import CaptureFile
from fabricscope.collectors.decode import decode
from fabricscope.collectors.synthetic.generator import generate_recipe
from fabricscope.collectors.synthetic.recipe import Recipe
from fabricscope.records import (
    FLAG_DUPLICATE,
    FLAG_HEADER_CUT,
    FLAG_MALFORMED,
    PROTOCOLS,
    RDMA_ACK_REQUEST,
    RDMA_HAS_AETH,
    TUNNELS,
    Packets,
    allocate_packets,
    slice_packets,
)
from reference.rdma import Direction, SlowQueuePairs

pytestmark = pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # hashes, uncompiled

EXACT: Final = (
    "packets", "bytes", "payload_bytes", "delivered_bytes", "acks_sent", "cnps", "ecn_capable",
    "ecn_marked",
)  # fmt: skip
VXLAN: Final = TUNNELS.index("vxlan")
ERSPAN: Final = TUNNELS.index("erspan")


def follow(packets: Packets, batch: int, **options: int) -> QueuePairTable:
    """Return the settled table of all packets."""
    flows = FlowTable(capacity=options.get("flow_capacity", 4096))
    table = QueuePairTable(**({"capacity": 512, "flow_capacity": 4096} | options))
    rows = packets.time_ns.size
    for start in range(0, rows, batch):
        part = slice_packets(packets, start, min(start + batch, rows))
        count = part.time_ns.size
        flow, slots = np.zeros(count, np.int64), np.zeros(count, np.int64)
        side = np.zeros(count, np.uint8)
        closed = flows.update(part, flow, side)
        table.update(part, flow, side, slots)
        flows.release(closed)
    table.finish()
    return table


def key_of(qp: Any) -> Any:
    hosts = tuple(int(qp[name]) for name in ("src_hi", "src_lo", "dst_hi", "dst_lo"))
    return hosts, int(qp["dest_qp"]), int(qp["source_qp"]), int(qp["tunnel_key"])


def tunnel_key(tunnels: tuple[tuple[int, int], ...]) -> int:
    kinds = sum(kind << 8 * level for level, (kind, _) in enumerate(tunnels))
    numbers = sum(number << 32 * level for level, (_, number) in enumerate(tunnels))
    return int(tunnel_key_of(np.uint32(kinds), np.uint64(numbers), np.uint64(0)))


def by_key(twin: SlowQueuePairs) -> dict[Any, Direction]:
    return {
        (hosts, dest_qp, source_qp, tunnel_key(tunnels)): direction
        for (hosts, dest_qp, source_qp, tunnels), direction in twin.directions.items()
    }


def compare(table: QueuePairTable, twin: SlowQueuePairs) -> None:
    wanted = by_key(twin)
    assert {key_of(qp) for qp in table.queue_pairs} == set(wanted)
    for qp in table.queue_pairs:
        slow = wanted[key_of(qp)]
        assert {n: qp[n] for n in EXACT} == {n: slow.count[n] for n in EXACT}
        assert qp["gaps"] == slow.count["sequence_gaps"]
        assert qp["retransmissions"] + qp["duplicates"] == slow.count["repeats"]
        found = {n: c for n, c in enumerate(qp["operations"][:24].tolist()) if c}
        assert found == {n: c for n, c in slow.operations.items() if n < 24}
        for name in ("network_lost", "collector_lost", "unresolved_lost", "out_of_order"):
            assert qp[name] >= 0


def random_rows(rng: np.random.Generator, rows: int) -> Packets:
    """Return RDMA packets of few queue pairs with random headers around the turn of the PSNs."""
    packets = allocate_packets(rows)
    packets.time_ns[:] = 10**18 + np.cumsum(rng.choice([100, 5_000, 2_000_000], rows))
    packets.time_ns[:] -= rng.integers(0, 50_000, rows) * (rng.random(rows) < 0.1)
    packets.frame[:] = np.arange(1, rows + 1)
    packets.wire_length[:] = rng.integers(60, 4200, rows)
    packets.payload_length[:] = packets.wire_length - 58
    packets.payload_offset[:] = 58
    packets.protocol[:] = PROTOCOLS.index("roce_v2")
    packets.ip_protocol[:] = 17
    packets.src_lo[:] = rng.integers(1, 3, rows)
    packets.dst_lo[:] = rng.integers(1, 3, rows)
    packets.src_port[:] = rng.choice([4791, 50_000], rows)
    packets.dst_port[:] = 4791
    packets.dest_qp[:] = rng.choice([1, 17, 18], rows)
    service = np.select([packets.dest_qp == 1, packets.dest_qp == 17], [3, 0], 1)
    # READ requests and atomics stand for many PSNs: traffic that makes sense tests these.
    answers = [0, 1, 2, 4, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 22, 23]
    operation = np.where(service == 0, rng.choice(answers, rows), rng.choice([0, 2, 4, 10], rows))
    packets.opcode[:] = np.where(service == 3, 0x64, service << 5 | operation)
    packets.opcode[rng.random(rows) < 0.05] = 0x81
    packets.source_qp[:] = np.where(packets.opcode == 0x64, rng.choice([1, 5], rows), 0)
    drift = np.arange(rows) // 4 + rng.integers(-40, 40, rows)
    packets.psn[:] = (0xFFFFF0 + drift) % 0x1000000
    packets.ip_id[:] = rng.integers(0, 4, rows)
    packets.rdma_flags[:] = rng.choice([0, RDMA_ACK_REQUEST, RDMA_HAS_AETH], rows)
    packets.aeth[:] = rng.choice([0x1F, 0x20, 0x60, 0x61, 0x62, 0x7F], rows) << 24
    packets.ecn[:] = rng.integers(0, 4, rows)
    packets.dma_length[:] = rng.choice([0, 64, 2**32 - 1], rows)
    packets.flags[:] = rng.choice([0, 0, 0, 0, FLAG_DUPLICATE, FLAG_MALFORMED], rows)
    packets.tunnel_kinds[:] = rng.choice([0, 0, ERSPAN, VXLAN, ERSPAN | VXLAN << 8], rows)
    inner = packets.tunnel_kinds == ERSPAN | VXLAN << 8
    packets.tunnel_ids_low[:] = np.where(inner, 10 | 5 << 32, 5)
    return packets


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("batch", [13, 800])
def test_random_rows_equal_the_twin(seed: int, batch: int) -> None:
    packets = random_rows(np.random.default_rng(seed), 800)
    twin = SlowQueuePairs()
    twin.update(packets)
    compare(follow(packets, batch), twin)


def test_no_rows() -> None:
    assert follow(allocate_packets(0), 10).slots == 0
    table = QueuePairTable(capacity=8)
    empty = allocate_packets(0)
    nothing = np.zeros(0, np.int64)
    assert table.update(empty, nothing, np.zeros(0, np.uint8), nothing).size == 0


BULK: Final = {
    "kind": "bulk",
    "operation": "write",
    "messages": 20,
    "message_bytes": 20_000,
    "outstanding": 3,
    "pairs": [(0, 1), (1, 0)],
}


def generated(
    folder: Path, workload: dict[str, Any], *faults: dict[str, Any], snaplen: int = 128
) -> Packets:
    """Return the decoded packets of a recipe, all in one batch."""
    recipe = Recipe(
        name="test",
        network={"hosts": 2, "mtu": 1024},
        transport={"initial_psn": 0xFFFFC0, "ack_every_packets": 4},
        capture={"snaplen": snaplen},
        workloads=[workload],
        faults=faults,
    )
    path = str(generate_recipe(recipe, str(folder / "out.pcap")).captures[0])
    packets = allocate_packets(16_384)
    with CaptureFile(path) as file:
        view, rows = file.read(packets)
        found = slice_packets(packets, 0, rows)
        decode(view, found)
    return found


def pairs_by_hosts(twin: SlowQueuePairs, table: QueuePairTable) -> dict[Any, Any]:
    """Return the twin's keys of the directions that the table paired, each with its other one."""
    known = {key_of(qp): slot for slot, qp in enumerate(table.queue_pairs)}
    keys = {known[k]: slow for k, slow in zip(by_key(twin), twin.directions, strict=True)}
    paired = table.queue_pairs["paired"].tolist()
    return {keys[slot]: keys[other] for slot, other in enumerate(paired) if other >= 0}


@pytest.mark.parametrize("operation", ["write", "send", "read", "fetch_add"])
@pytest.mark.parametrize("batch", [50, 16_384])
def test_samples_equal_the_twin(operation: str, batch: int, tmp_path: Path) -> None:
    packets = generated(tmp_path, BULK | {"operation": operation})
    table = follow(packets, batch)
    plain = SlowQueuePairs()
    plain.update(packets)
    pairs = pairs_by_hosts(plain, table)
    twin = SlowQueuePairs(pairs)
    twin.update(packets)
    wanted = by_key(twin)
    assert len(pairs) == len(wanted)
    for qp in table.queue_pairs:
        slow = wanted[key_of(qp)]
        assert qp["messages"] == slow.count["messages"]
        check_samples(qp["sizes"], qp["message_bytes_max"], slow.message_bytes)
        if operation != "read":
            assert qp["acks"] == slow.count["acks"]
            check_samples(qp["ack_rtt"], qp["ack_rtt_max_ns"], slow.rtt_ns)
            check_samples(qp["completion"], qp["message_max_ns"], slow.completion_ns)
    if operation != "read":
        compare(table, twin)


@pytest.mark.parametrize("operation", ["write", "send"])
def test_messages_of_packets_cut_before_their_length_have_their_size(
    operation: str, tmp_path: Path
) -> None:
    packets = generated(tmp_path, BULK | {"operation": operation}, snaplen=64)
    assert not packets.dma_length.any()
    table = follow(packets, 333)
    twin = SlowQueuePairs()
    twin.update(packets)
    wanted = by_key(twin)
    for qp in table.queue_pairs:
        sizes = wanted[key_of(qp)].message_bytes
        assert set(sizes) <= {BULK["message_bytes"]}
        check_samples(qp["sizes"], qp["message_bytes_max"], sizes)


@pytest.mark.parametrize("batch", [50, 16_384])
def test_reads_cut_before_their_length_leave_no_gaps(batch: int, tmp_path: Path) -> None:
    """How far such a READ reaches is not known: what follows is no loss, but sizes are none."""
    packets = generated(tmp_path, BULK | {"operation": "read"}, snaplen=64)
    assert not packets.dma_length.any()
    asked = packets.opcode & 31 == 12
    table = follow(packets, batch)
    table.finish()
    requests = table.queue_pairs[table.queue_pairs["messages"] > 0]
    assert requests["messages"].sum() == asked.sum() == 40
    for column in ("gaps", "collector_lost", "unresolved_lost", "network_lost"):
        assert not requests[column].any(), column
    assert not requests["sizes"].any()
    assert (requests["completion"].sum(axis=1) == requests["messages"]).all()


def test_a_loss_is_seen_again_after_a_read_that_was_cut(tmp_path: Path) -> None:
    packets = generated(tmp_path, BULK | {"pairs": [(0, 1)]}, snaplen=64)
    sent = np.flatnonzero(packets.dst_port == 4791)
    data = sent[(packets.opcode[sent] & 31) < 12]
    packets.opcode[data[5]] = packets.opcode[data[5]] & 0xE0 | 12
    packets.flags[data[5]] |= FLAG_HEADER_CUT
    packets.flags[data[[8, 9, 30]]] |= FLAG_DUPLICATE  # as if they had never been captured
    table = follow(packets, 16_384)
    assert table.queue_pairs["gaps"].tolist().count(2) == 1


def check_samples(sketch: Any, largest: int, samples: list[int]) -> None:
    assert sketch.sum() == len(samples)
    if samples:
        assert largest == max(samples)
        middle = float(percentile(sketch, 0.5))
        low, high = np.percentile(samples, [50, 50], method="lower"), max(samples)
        assert low[0] * 0.875 - 2 <= middle <= high * 1.125 + 2


@pytest.mark.parametrize("operation", ["write", "send"])
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "loss", "where": "uplink", "ratio": 0.01},
        {"kind": "loss", "where": "fabric", "ratio": 0.01},
        {"kind": "reorder", "where": "uplink", "ratio": 0.02, "burst": 2},
        {"kind": "mirror_loss", "ratio": 0.05},
        {"kind": "mirror_duplicate", "ratio": 0.05},
        {"kind": "rnr", "message": 5},
    ],
    ids=lambda fault: f"{fault['kind']}-{fault.get('where', '')}",
)
def test_faulty_traffic_equals_the_twin(
    operation: str, fault: dict[str, Any], tmp_path: Path
) -> None:
    packets = generated(tmp_path, BULK | {"operation": operation, "messages": 40}, fault)
    twin = SlowQueuePairs()
    twin.update(packets)
    compare(follow(packets, 333), twin)


def write_stream(count: int, first_psn: int, dest_qp: int = 17) -> Packets:
    """Return WRITE Only packets in order, each asking for an ACK."""
    packets = allocate_packets(count)
    packets.time_ns[:] = 10**18 + np.arange(count) * 1000
    packets.frame[:] = np.arange(1, count + 1)
    packets.wire_length[:] = 1100
    packets.payload_length[:] = 1024
    packets.payload_offset[:] = 58
    packets.protocol[:] = PROTOCOLS.index("roce_v2")
    packets.src_lo[:] = 1
    packets.dst_lo[:] = 2
    packets.src_port[:] = packets.dst_port[:] = 4791
    packets.ip_protocol[:] = 17
    packets.opcode[:] = 10
    packets.dest_qp[:] = dest_qp
    packets.psn[:] = (first_psn + np.arange(count)) % 0x1000000
    packets.rdma_flags[:] = RDMA_ACK_REQUEST
    return packets


def joined(*parts: Packets) -> Packets:
    columns = (np.concatenate(column) for column in zip(*parts, strict=True))
    packets = Packets(*columns)
    packets.time_ns[:] = 10**18 + np.arange(packets.time_ns.size) * 1000
    packets.frame[:] = np.arange(1, packets.time_ns.size + 1)
    return packets


def test_a_queue_pair_used_again_with_a_new_psn_loses_nothing() -> None:
    table = follow(joined(write_stream(50, 100), write_stream(50, 5_000_000)), 64)
    [qp] = table.queue_pairs
    assert qp["restarts"] == 1
    assert qp["messages"] == 100
    for name in ("gaps", "unresolved_lost", "network_lost", "collector_lost", "retransmissions"):
        assert qp[name] == 0
    assert len(table.events(layout.EVENT_RESTART)) == 1


@pytest.mark.parametrize("start", [0xFFFFFF, 0xFFFFFE, 0x7FFFFF, 0xFFFF00])
def test_the_turn_of_the_psn_is_no_gap(start: int) -> None:
    [qp] = follow(write_stream(600, start), 512).queue_pairs
    assert qp["delivered_bytes"] == 600 * 1024
    assert qp["gaps"] == qp["retransmissions"] == qp["duplicates"] == qp["restarts"] == 0


def test_long_holes_do_not_bring_old_packets_back() -> None:
    """More is missing than the window holds: what comes after is new all the same."""
    packets = joined(write_stream(300, 0), write_stream(300, 2 * layout.WINDOW_PSNS))
    [qp] = follow(packets, 100).queue_pairs
    assert qp["gaps"] == 1
    assert qp["unresolved_lost"] == 2 * layout.WINDOW_PSNS - 300
    assert qp["retransmissions"] + qp["duplicates"] == 0


def test_a_full_table_is_counted() -> None:
    parts = [write_stream(3, 7, dest_qp) for dest_qp in range(20, 40)]
    table = follow(joined(*parts), 16, capacity=8)
    assert table.slots == 8
    assert table.counters["unassigned"] == 12 * 3


def test_a_full_queue_is_counted() -> None:
    table = follow(write_stream(500, 0), 100, queue_entries=50)
    assert table.counters["queue_dropped"] == 450
    assert table.queue_pairs["messages"].tolist() == [500]


def test_a_hole_is_put_down_to_the_mirror_only_by_an_answer() -> None:
    data = write_stream(20, 0)
    keep = np.delete(np.arange(20), [5, 6, 12])
    data = Packets(*(column[keep] for column in data))
    answer = write_stream(1, 8, 99)
    answer.src_lo[:], answer.dst_lo[:] = 2, 1
    answer.opcode[:] = 17
    answer.rdma_flags[:] = RDMA_HAS_AETH
    answer.aeth[:] = 0x1F000000
    sent, _ = follow(joined(data, answer), 64).queue_pairs
    assert sent["collector_lost"] == 2
    assert sent["unresolved_lost"] == 1
    assert sent["acks"] == 1


def test_a_nak_makes_the_hole_network_loss() -> None:
    data = write_stream(20, 0)
    data = Packets(*(column[np.delete(np.arange(20), [5, 6])] for column in data))
    nak = write_stream(1, 5, 99)
    nak.src_lo[:], nak.dst_lo[:] = 2, 1
    nak.opcode[:] = 17
    nak.rdma_flags[:] = RDMA_HAS_AETH
    nak.aeth[:] = 0x60000000
    again = write_stream(15, 5)
    again.ip_id[:] = 9
    table = follow(joined(data, nak, again), 64)
    sent, _ = table.queue_pairs
    assert (sent["network_lost"], sent["collector_lost"], sent["unresolved_lost"]) == (2, 0, 0)
    assert (sent["naks"], sent["retransmissions"], sent["duplicates"]) == (1, 13, 0)
    assert (sent["timeouts"], sent["out_of_order"]) == (0, 0)
    [event] = table.events(layout.EVENT_NAK)
    assert event["first_ns"] == (18 - 5) * 1000
    [recovery] = table.events(layout.EVENT_RECOVERY)
    assert (recovery["code"], recovery["first_ns"]) == (layout.CAUSE_NAK, 1000)


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
