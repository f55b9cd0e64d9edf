"""Link counters against their slow twin."""

from ipaddress import ip_address

import numpy as np
import pytest

from fabricscope.analyzers.links.counting import LinkCounter
from fabricscope.records import FLAG_DUPLICATE, PROTOCOLS, Packets, allocate_packets
from reference.links import NAMES, count_slowly, is_group

pytestmark = pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # hashes, uncompiled

START_NS = 1_700_000_000_000_000_000


def make_batch(seed: int, rows: int, hosts: int) -> tuple[Packets, np.ndarray, np.ndarray]:
    """Return packets between random hosts, with flows as a flow table would number them."""
    rng = np.random.default_rng(seed)
    packets = allocate_packets(rows)
    ends = rng.integers(0, hosts, (rows, 2))
    for end, name in ((ends[:, 0], "src"), (ends[:, 1], "dst")):
        getattr(packets, f"{name}_hi")[:] = end % 3
        getattr(packets, f"{name}_lo")[:] = end + 1
    packets.time_ns[:] = START_NS + np.sort(rng.integers(-5_000_000, 1_200_000_000, rows))
    packets.wire_length[:] = rng.integers(64, 9_000, rows)
    packets.ecn[:] = rng.integers(0, 4, rows)
    kinds = [PROTOCOLS.index(name) for name in ("roce_v2", "tcp", "infiniband", "udp")]
    packets.protocol[:] = rng.choice(kinds, rows)
    packets.opcode[:] = rng.choice([0x81, 4, 17], rows)
    packets.flags[:] = rng.choice([0, 0, 0, FLAG_DUPLICATE], rows)
    low, high = ends.min(axis=1), ends.max(axis=1)
    flow = (low * hosts + high).astype(np.int64)
    return packets, flow, (ends[:, 0] != low).astype(np.uint8)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("hosts", [2, 7, 60])
def test_counters_are_those_of_the_twin(seed: int, hosts: int) -> None:
    packets, flow, side = make_batch(seed, 400, hosts)
    counter = LinkCounter(flow_capacity=hosts * hosts, max_links=64)
    counter.begin(START_NS)
    counter.update(packets, flow, side)
    sample = counter.sample(START_NS + 10**9)
    rdma = (PROTOCOLS.index("roce_v2"), PROTOCOLS.index("infiniband"))
    twin = count_slowly(
        [
            {
                **{
                    name: int(getattr(packets, name)[k])
                    for name in ("src_hi", "src_lo", "dst_hi", "dst_lo", "ecn", "opcode")
                },
                "time": int(packets.time_ns[k]),
                "size": int(packets.wire_length[k]),
                "rdma": int(packets.protocol[k] in rdma),
                "skip": int(packets.flags[k] & FLAG_DUPLICATE),
            }
            for k in range(400)
        ],
        START_NS,
    )
    assert {tuple(host) for host in sample.hosts.tolist()} == set(twin)
    for number, host in enumerate(sample.hosts.tolist()):
        for direction in (0, 1):
            expected = twin[tuple(host)][direction]
            found = sample.counts[number, direction]
            assert {name: int(found[name]) for name in NAMES} == {n: expected[n] for n in NAMES}
            assert sample.burst_bytes[number, direction] == max(
                expected["bins"].values(), default=0
            )
    assert counter.sample(START_NS).counts["packets"].sum() == 0


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "224.0.0.1", "239.1.2.3", "255.255.255.255", "::", "ff02::1", "lid:0",
        "lid:49152", "fe80::1:2",
    ],
)  # fmt: skip
def test_a_group_has_no_link(address: str) -> None:
    packets, flow, side = make_batch(4, 40, 5)
    packets.flags[:] = 0
    packets.protocol[:] = PROTOCOLS.index("tcp")
    group = flow == flow[0]
    to_b = group & (side == side[0])
    hi, lo = number_of(address)
    packets.dst_hi[to_b], packets.dst_lo[to_b] = hi, lo
    packets.src_hi[group & ~to_b], packets.src_lo[group & ~to_b] = hi, lo
    counter = LinkCounter(flow_capacity=25, max_links=8)
    counter.update(packets, flow, side)
    sample = counter.sample(0)
    assert (hi, lo) not in {tuple(host) for host in sample.hosts.tolist()}
    assert sample.counts["packets"].sum() == 2 * 40 - int(group.sum())
    assert sample.uncounted == 0
    assert is_group(hi, lo, rdma=False)


def test_an_rdma_port_may_have_a_link_local_address_only() -> None:
    packets, flow, side = make_batch(4, 40, 5)
    packets.flags[:] = 0
    packets.protocol[:] = PROTOCOLS.index("roce_v1")
    packets.src_hi[:] = packets.dst_hi[:] = 0xFE80 << 48
    counter = LinkCounter(flow_capacity=25, max_links=8)
    counter.update(packets, flow, side)
    assert counter.sample(0).counts["packets"].sum() == 2 * 40


def number_of(address: str) -> tuple[int, int]:
    if address.startswith("lid:"):
        return 0, int(address[4:])
    parsed = ip_address(address)
    value = int(parsed) | (0xFFFF << 32 if parsed.version == 4 else 0)
    return value >> 64, value & (1 << 64) - 1


def test_hosts_beyond_the_bound_are_counted() -> None:
    packets, flow, side = make_batch(1, 500, 50)
    counter = LinkCounter(flow_capacity=2_500, max_links=8)
    counter.update(packets, flow, side)
    sample = counter.sample(0)
    kept = packets.flags == 0
    assert sample.hosts.shape == (8, 2)
    known = {tuple(host) for host in sample.hosts.tolist()}
    ends = [
        [pair in known for pair in zip(hi.tolist(), lo.tolist(), strict=True)]
        for hi, lo in ((packets.src_hi, packets.src_lo), (packets.dst_hi, packets.dst_lo))
    ]
    up, down = (np.array(end) & kept for end in ends)
    assert sample.uncounted == int((kept & ~up & ~down).sum()) > 0
    assert counter.left_out == int((kept & ~(up & down)).sum())
    assert sample.counts["packets"].sum(axis=0).tolist() == [up.sum(), down.sum()]


def between(pairs: list[tuple[int, int]]) -> tuple[Packets, np.ndarray, np.ndarray]:
    """Return a packet from each first to each second host, in a flow of its own."""
    packets = allocate_packets(len(pairs))
    packets.time_ns[:], packets.flags[:], packets.wire_length[:] = START_NS, 0, 100
    packets.ecn[:], packets.protocol[:] = 0, PROTOCOLS.index("udp")
    packets.src_hi[:], packets.dst_hi[:] = 1, 1
    packets.src_lo[:], packets.dst_lo[:] = np.array(pairs, np.uint64).T
    flow = np.array([one if other < 100 else 100 + other % 7 for one, other in pairs], np.int64)
    return packets, flow, np.zeros(len(pairs), np.uint8)


def test_targets_of_a_scan_make_room_and_hosts_stay() -> None:
    counter = LinkCounter(flow_capacity=256, max_links=64)
    for second in range(30):
        scanned = [(1, 1_000 + 7 * second + k) for k in range(7)]
        counter.update(*between([(1, 2), (3, 4), (5, 6), *scanned]))
        sample = counter.sample(0)
        counter.flow_closed(np.arange(100, 107))
        hosts = sample.hosts[:, 1].tolist()
        counts = dict(zip(hosts, sample.counts["packets"].tolist(), strict=True))
        assert [counts[host] for host in range(1, 7)] == [[8, 0], [0, 1], *[[1, 0], [0, 1]] * 2]
        assert len(hosts) <= 55
        assert sample.counts["packets"].sum() == 20
    assert counter.left_out == 0


def test_links_that_are_silent_for_minutes_make_room() -> None:
    counter = LinkCounter(flow_capacity=1_024, max_links=32)
    for second in range(300):
        counter.update(*between([(1, 2)]))
        if second in (0, 1, 2):
            counter.update(*between([(k, k + 1) for k in range(3, 23, 2)]))
        if second >= 200:
            counter.update(*between([(31, 32), (33, 34)]))
        hosts = counter.sample(0).hosts[:, 1].tolist()
        assert hosts[:2] == [1, 2]
        assert len(set(hosts)) == len(hosts) == (22 if second < 200 else 26 if second < 201 else 6)


def test_a_slot_used_again_belongs_to_its_new_hosts() -> None:
    packets, _, _ = make_batch(2, 2, 4)
    packets.flags[:] = 0
    packets.src_lo[:], packets.dst_lo[:] = [1, 2], [3, 4]
    packets.src_hi[:] = packets.dst_hi[:] = 0
    counter = LinkCounter(flow_capacity=1, max_links=8)
    zero = np.zeros(1, np.int64)
    for row in (0, 1):
        one = Packets._make(column[row : row + 1] for column in packets)
        counter.update(one, zero, zero.astype(np.uint8))
        counter.flow_closed(zero)
    sent = counter.sample(0)
    assert sent.hosts[:, 1].tolist() == [1, 3, 2, 4]
    assert sent.counts["packets"][:, 0].tolist() == [1, 0, 1, 0]
