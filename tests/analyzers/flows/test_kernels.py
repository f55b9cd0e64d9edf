"""The flow table against its slow twin, and at its bounds."""

from typing import Any, Final

import numpy as np
import pytest

from fabricscope.analyzers.flows import ClosedFlows, FlowTable
from fabricscope.analyzers.flows.layout import END_EVICTED
from fabricscope.analyzers.flows.results import ENDS
from fabricscope.analyzers.flows.table import FOREVER_NS
from fabricscope.records import (
    FLAG_DUPLICATE,
    FLAG_FRAGMENT,
    FLAG_LATER_FRAGMENT,
    FLAG_TRUNCATED,
    Packets,
    allocate_packets,
    slice_packets,
)
from reference.flows import ERSPAN, SlowFlows, summary

pytestmark = pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # hashes, uncompiled

EXACT: Final = (
    "packets", "bytes", "payload_bytes", "payload_packets", "size_min", "size_max",
    "size_square_sum", "gap_max_ns", "ecn_marked", "truncated", "tcp_flags",
)  # fmt: skip


def traffic(rng: np.random.Generator, rows: int, *, backwards: bool = False) -> Packets:
    """Return random packets of few hosts, with all that makes flows hard to tell apart."""
    packets = allocate_packets(rows)
    step_ns = rng.integers(0, 4_000_000_000, rows)
    packets.time_ns[:] = 10**18 + np.cumsum(step_ns)
    if backwards:
        packets.time_ns[:] -= rng.integers(0, 20_000_000_000, rows) * (rng.random(rows) < 0.2)
    packets.frame[:] = np.arange(1, rows + 1)
    packets.wire_length[:] = rng.integers(0, 10_000, rows)
    packets.captured_length[:] = np.minimum(packets.wire_length, 128)
    packets.payload_length[:] = np.maximum(packets.wire_length.astype(np.int64) - 54, 0)
    packets.src_lo[:] = rng.integers(1, 4, rows)
    packets.dst_lo[:] = rng.integers(1, 4, rows)  # also a host that speaks to itself
    packets.src_hi[:] = rng.integers(0, 2, rows) << 63
    packets.dst_hi[:] = rng.integers(0, 2, rows) << 63
    packets.src_port[:] = rng.choice([0, 7, 4791, 65_535], rows)
    packets.dst_port[:] = rng.choice([7, 4791], rows)
    packets.ip_protocol[:] = rng.choice([6, 17], rows)
    packets.ip_id[:] = rng.integers(0, 3, rows)
    packets.tcp_flags[:] = rng.integers(0, 256, rows)
    packets.ecn[:] = rng.integers(0, 4, rows)
    flags = rng.choice([0, FLAG_TRUNCATED, FLAG_DUPLICATE, FLAG_FRAGMENT], rows)
    later = (flags == FLAG_FRAGMENT) & (rng.random(rows) < 0.5)
    packets.flags[:] = flags | later * FLAG_LATER_FRAGMENT
    # The place for a datagram's ports is shared by many: few datagrams, so that none is evicted.
    fragment = flags == FLAG_FRAGMENT
    packets.src_hi[fragment] = 0
    packets.src_lo[fragment] = 1
    packets.ip_protocol[fragment] = 17
    packets.ip_id[fragment] %= 2
    packets.src_port[later] = 0
    packets.dst_port[later] = 0
    kinds = [0, 0, ERSPAN, 3, ERSPAN | 3 << 8, 3 | ERSPAN << 8]
    packets.tunnel_kinds[:] = rng.choice(kinds, rows)
    packets.tunnel_ids_low[:] = rng.integers(0, 2, rows) | rng.integers(0, 2, rows) << 32
    return packets


class Run:
    """A flow table, fed in batches; what it closes is collected."""

    def __init__(self, **options: int) -> None:
        self.table = FlowTable(**options)
        self.closed: list[ClosedFlows] = []
        self.flow: list[int] = []

    def feed(self, packets: Packets, batch: int) -> None:
        rows = packets.time_ns.size
        for start in range(0, rows, batch):
            part = slice_packets(packets, start, min(start + batch, rows))
            flow = np.zeros(part.time_ns.size, np.int64)
            side = np.zeros(part.time_ns.size, np.uint8)
            closed = self.table.update(part, flow, side)
            ids = self.table.flows["id"][np.maximum(flow, 0)]
            self.flow += np.where(flow >= 0, ids, -1).tolist()
            if closed.size:
                self.closed.append(self.table.collect(closed))
                self.table.release(closed)

    def finish(self) -> dict[int, tuple[Any, Any, Any, Any]]:
        """Return (flow, directions, sizes, gaps) by flow number."""
        self.closed.append(self.table.collect(self.table.open_slots()))
        found = {}
        for closed in self.closed:
            for k in range(len(closed.slots)):
                found[int(closed.flows["id"][k])] = (
                    closed.flows[k],
                    closed.directions[k],
                    closed.sizes[k],
                    closed.gaps[k],
                )
        return found


def compare(run: Run, twin: SlowFlows, places: list[int]) -> None:
    found = run.finish()
    assert len(found) == len(twin.flows)
    number_of: dict[int, int] = {}
    for number, place in zip(run.flow, places, strict=True):
        assert (number < 0) == (place < 0)
        assert number_of.setdefault(place, number) == number
    for slow in twin.flows:
        flow, directions, sizes, gaps = found[number_of[slow["place"]]]
        assert (flow["a_hi"], flow["a_lo"], flow["a_port"]) == slow["a"]
        assert (flow["b_hi"], flow["b_lo"], flow["b_port"]) == slow["b"]
        assert (flow["first_ns"], flow["last_ns"]) == (slow["first_ns"], slow["last_ns"])
        assert flow["first_frame"] == slow["first_frame"]
        for side in (0, 1):
            wanted = summary(slow["sides"][side])
            got = directions[side]
            assert {name: got[name] for name in EXACT} == {name: wanted[name] for name in EXACT}
            assert got["gap_square_sum"] == pytest.approx(wanted["gap_square_sum"])
            check_percentiles(sizes[side], wanted["sizes"])
            check_percentiles(gaps[side], wanted["gaps"])


def check_percentiles(found: Any, values: Any) -> None:
    """Compare with NumPy: within one bucket of the values on both sides of the rank."""
    if values.size == 0:
        return
    ordered = np.minimum(np.sort(values), 2.0**39)  # the sketch holds no longer gaps apart
    for value, fraction in zip(found, (0.5, 0.99), strict=True):
        rank = max(int(np.ceil(fraction * values.size)) - 1, 0)
        low, high = ordered[rank], ordered[min(rank + 1, values.size - 1)]
        assert low * 0.875 - 2 <= value <= high * 1.125 + 2


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("batch", [7, 300])
def test_flows_equal_the_twin(seed: int, batch: int) -> None:
    packets = traffic(np.random.default_rng(seed), 700)
    run, twin = Run(capacity=4096), SlowFlows(120 * 10**9, FOREVER_NS)
    run.feed(packets, batch)
    compare(run, twin, twin.update(packets))


@pytest.mark.parametrize("seed", range(3))
def test_flows_with_time_going_back(seed: int) -> None:
    packets = traffic(np.random.default_rng(seed), 700, backwards=True)
    run, twin = Run(capacity=4096, idle_ns=FOREVER_NS), SlowFlows(FOREVER_NS, FOREVER_NS)
    run.feed(packets, 100)
    compare(run, twin, twin.update(packets))
    earlier = packets.time_ns < np.maximum.accumulate(packets.time_ns)
    assert run.table.counters["out_of_time_order"] == earlier.sum()
    assert run.table.counters["first_ns"] == packets.time_ns.min()
    assert run.table.counters["last_ns"] == packets.time_ns.max()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("idle_s", "active_s"), [(20, 10**6), (10**6, 60), (30, 90)])
def test_timeouts_equal_the_twin(seed: int, idle_s: int, active_s: int) -> None:
    packets = traffic(np.random.default_rng(seed), 600)
    timeouts = {"idle_ns": idle_s * 10**9, "active_ns": active_s * 10**9}
    # Batches span far more time than the time-outs: flows inside them must stay whole.
    run, twin = Run(capacity=4096, **timeouts), SlowFlows(**timeouts)
    run.feed(packets, 200)
    compare(run, twin, twin.update(packets))
    ends = [ENDS[flow["end"]] for closed in run.closed for flow in closed.flows]
    for reason in ("idle", "active"):
        assert ends.count(reason) == run.table.counters[f"{reason}_closed"]
        assert ends.count(reason) >= sum(flow["end"] == reason for flow in twin.flows)
    assert len(ends) == run.table.counters["flows"]


def test_no_rows() -> None:
    run = Run(capacity=16)
    run.feed(allocate_packets(0), 10)
    assert run.table.counters["packets"] == 0
    assert run.finish() == {}


def many_flows(count: int) -> Packets:
    packets = allocate_packets(count)
    packets.time_ns[:] = 10**18 + np.arange(count) * 1000
    packets.src_lo[:] = np.arange(count)
    packets.dst_lo[:] = 2**40
    packets.wire_length[:] = 100
    return packets


def test_a_full_table_evicts_and_counts() -> None:
    run = Run(capacity=64)
    run.feed(many_flows(1000), 8)
    counters = run.table.counters
    assert counters["unassigned"] == 0
    assert counters["evicted"] > 0
    found = run.finish()
    assert len(found) == counters["flows"] == 1000
    assert sum(directions["packets"].sum() for _, directions, _, _ in found.values()) == 1000
    evicted = sum(flow["end"] == END_EVICTED for flow, _, _, _ in found.values())
    assert evicted == counters["evicted"]


def test_a_batch_larger_than_the_table_is_counted() -> None:
    run = Run(capacity=64)
    run.feed(many_flows(1000), 1000)
    assert run.table.counters["unassigned"] == 1000 - 64
    assert run.flow.count(-1) == 1000 - 64


def test_flows_past_the_sketches_have_no_percentiles() -> None:
    run = Run(capacity=64, sketches=2)
    run.feed(many_flows(10), 10)
    known = [not np.isnan(sizes[0, 0]) for _, _, sizes, _ in run.finish().values()]
    assert sum(known) == 2
