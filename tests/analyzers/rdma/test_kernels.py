"""The queue-pair table against its slow twin: generated and random traffic, and its bounds."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

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
    PROTOCOLS,
    RDMA_ACK_REQUEST,
    RDMA_HAS_AETH,
    Packets,
    allocate_packets,
    slice_packets,
)
from reference.rdma import Direction, SlowQueuePairs
from reference.rdma_traffic import EXACT, follow, key_of, random_rows

pytestmark = pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # hashes, uncompiled


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
