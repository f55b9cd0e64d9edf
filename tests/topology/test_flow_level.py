"""The flow-level engine against formulas, its slow twin, and itself."""

import itertools

import numpy as np
import pytest

from fabricscope.topology.builders import build
from fabricscope.topology.flow_level.at_once import all_at_once, send_at_once
from fabricscope.topology.flow_level.engine import FlowOptions, FlowRun, run_flows
from fabricscope.topology.flow_level.ring_engine import run_rings
from fabricscope.topology.flow_level.traffic import traffic_at
from fabricscope.topology.outcome import AFTER, BEFORE
from fabricscope.topology.routing.balancing import parse_balancing
from fabricscope.topology.routing.routes import RouteState, build_routes, find_paths
from fabricscope.topology.workloads.rings import build_rings
from fabricscope.topology.workloads.spec import build_transfers, parse_workload
from fabricscope.topology.workloads.striping import unfinished
from reference import topology_flows as reference

GOODPUT = 4096 / 4178


def _run(fabric, spec, balancing="ecmp", failures=(), plans=(), **options):
    transfers, _ = build_transfers(fabric, parse_workload(spec))
    return run_flows(
        fabric,
        build_routes(fabric),
        parse_balancing(balancing),
        transfers,
        failures,
        plans,
        FlowOptions(**options),
    )


def _latency_ns(fabric, source, destination):
    """Return the delays between two endpoints, and what store and forward of a packet adds."""
    routes = build_routes(fabric)
    path = find_paths(
        routes,
        RouteState.initial(routes),
        parse_balancing("ecmp").seeds(fabric),
        fabric.endpoints[[source]],
        fabric.endpoints[[destination]],
        np.zeros(1, np.uint64),
    )
    used = path[path >= 0]
    packets_ns = 4178 * 8 / fabric.channels.rate[used[1:]]
    return fabric.channels.delay_ns[used].sum() + packets_ns.sum()


@pytest.fixture(scope="module")
def even():
    """A fabric whose spines have room for all, with links all alike."""
    return build("leaf-spine:4x4x4@100G")


def test_one_flow_takes_serialisation_and_propagation_to_the_nanosecond(even):
    outcome = _run(even, "incast:2MB:ranks=2")
    sending_ns = 2_000_000 * 8 / (100 * GOODPUT)
    assert outcome.makespan_ns == pytest.approx(sending_ns + _latency_ns(even, 1, 0), abs=1e-3)


def test_incast_shares_the_last_link(even):
    outcome = _run(even, "incast:1MB:ranks=4")
    assert outcome.makespan_ns == pytest.approx(
        3 * 8e6 / (100 * GOODPUT) + _latency_ns(even, 1, 0), abs=1e-2
    )


def test_a_sprayed_ring_allreduce_takes_what_the_formula_says(even):
    size, ranks = 16 << 20, 16
    outcome = _run(even, f"allreduce:ring:{size}:order=rail", "spray")
    step_ns = size / ranks * 8 / (100 * GOODPUT) + _latency_ns(even, 0, 15)
    assert outcome.makespan_ns == pytest.approx(2 * (ranks - 1) * step_ns, rel=1e-9)


def test_a_sprayed_all_to_all_takes_what_the_formula_says(even):
    size = 16 << 20
    outcome = _run(even, f"alltoall:{size}", "spray")
    sending_ns = size * 15 / 16 * 8 / (100 * GOODPUT)
    assert outcome.makespan_ns == pytest.approx(sending_ns + _latency_ns(even, 0, 15), rel=1e-9)


def test_a_rail_ordered_ring_with_one_queue_pair_a_rank_collides():
    fabric = build("leaf-spine:32x16x16@100G")
    spec = "allreduce:ring:1GiB:order=rail"
    sprayed = _run(fabric, spec, "spray").makespan_ns
    slow = [_run(fabric, spec, f"ecmp:seed={seed}").makespan_ns / sprayed for seed in (1, 2, 3)]
    # The most loaded of 512 uplinks carries 5 to 7 of 16 flows hashed over 16 links.
    assert min(slow) > 3.5
    assert max(slow) < 8
    assert _run(fabric, spec, "qp-scaling:4").makespan_ns < min(slow) * sprayed
    assert _run(fabric, spec, "pinned").makespan_ns == pytest.approx(sprayed, rel=0.01)


def test_flowlets_move_after_pauses(even):
    spec = "allreduce:ring:16MiB:order=rail:iterations=3:compute=1ms"
    fixed = _run(even, spec, "ecmp")
    moving = _run(even, spec, "flowlet:500us")
    assert (moving.channel_bytes[BEFORE] > 0).sum() > (fixed.channel_bytes[BEFORE] > 0).sum()


@pytest.mark.parametrize("balancing", ["ecmp", "spray", "flowlet:1us", "pinned", "qp-scaling:2"])
def test_what_is_sent_is_carried_on_every_hop(even, balancing):
    outcome = _run(even, "allreduce:ring:16MiB:order=rail", balancing)
    transfers, _ = build_transfers(even, parse_workload("allreduce:ring:16MiB:order=rail"))
    wire = transfers.size_bytes.sum() / GOODPUT
    up = np.isin(even.channels.source, even.endpoints)
    down = np.isin(even.channels.target, even.endpoints)
    carried = outcome.channel_bytes.sum(axis=0)
    assert carried[up].sum() == pytest.approx(wire)
    assert carried[down].sum() == pytest.approx(wire)
    assert carried[~up & ~down].sum() == pytest.approx(2 * wire)


def test_the_same_seed_gives_the_same_run(even):
    one, two, other = (
        _run(even, "allreduce:ring:4MiB:order=rail", f"ecmp:seed={seed}").finish_ns
        for seed in (1, 1, 2)
    )
    assert (one == two).all()
    assert (one != other).any()


@pytest.mark.parametrize("balancing", ["ecmp", "spray"])
@pytest.mark.parametrize("spec", ["alltoall:1MiB", "permutation:2MB", "incast:1MB"])
def test_one_solution_is_the_whole_run_when_all_begin_at_once(even, spec, balancing):
    transfers, _ = build_transfers(even, parse_workload(spec))
    routes = build_routes(even)
    assert all_at_once(transfers)
    args = (even, routes, parse_balancing(balancing), transfers)
    whole = send_at_once(*args, FlowOptions())
    run = FlowRun(*args, (), FlowOptions())
    run.at_once = False
    run.play((), ())
    assert whole.finish_ns == pytest.approx(run.outcome().finish_ns, rel=1e-9)


@pytest.mark.parametrize("balancing", ["ecmp", "spray", "pinned"])
@pytest.mark.parametrize(
    "spec",
    [
        "allreduce:ring:1MB:ranks=5:order=rail:iterations=2:compute=3us",
        "allreduce:tree:3MB:ranks=6:order=random",
        "allreduce:halving_doubling:1MB:ranks=6:order=rail",
        "allreduce:direct:1MB:ranks=4:order=rail",
        "p2p:300KB:ranks=4:batches=3:order=rail:compute=10us",
        "alltoall:1MB:ranks=5:iterations=2:order=rail",
    ],
)
def test_runs_are_those_of_the_slow_twin(spec, balancing):
    fabric = build("leaf-spine:3x2x4@100G,uplink=50G")
    transfers, _ = build_transfers(fabric, parse_workload(spec))
    run = FlowRun(
        fabric, build_routes(fabric), parse_balancing(balancing), transfers, (), FlowOptions()
    )
    net = run.net
    paths = []
    for flow, of in enumerate(net.class_of.tolist()):
        path = {
            int(channel): float(net.weights[flow * net.stride, hop])
            for hop, channel in enumerate(net.entries[flow])
            if channel >= 0
        }
        if of >= 0:
            begin, end = net.class_start[of : of + 2]
            shares = zip(net.class_channels[begin:end], net.class_weights[begin:end], strict=True)
            path |= {int(channel): float(share) for channel, share in shares}
        paths.append(path)
    waits = [[] for _ in transfers.source]
    for number in range(len(waits)):
        begin, end = transfers.successor_start[number : number + 2]
        for following in transfers.successors[begin:end].tolist():
            waits[following].append(number)
    joins = transfers.source == transfers.destination
    # The twin knows no joins: a join is a byte on a channel of its own that takes no time.
    capacity = [*net.capacity.tolist(), 1e12]
    table = [
        (1e-6 if join else size, pair, delay, before)
        for size, pair, delay, before, join in zip(
            transfers.size_bytes.tolist(),
            transfers.queue_pair.tolist(),
            transfers.delay_ns.tolist(),
            waits,
            joins.tolist(),
            strict=True,
        )
    ]
    for pair in np.unique(transfers.queue_pair[joins]).tolist():
        paths[pair] = {len(capacity) - 1: 1.0}
    latency_ns = np.where(run.pairs.joins == 1, 0.0, run.pairs.latency_ns).tolist()
    expected = reference.run(table, paths, latency_ns, capacity)
    run.play((), ())
    assert run.outcome().finish_ns == pytest.approx(np.array(expected), abs=0.05)


def test_stopped_and_gone_on_with_is_the_same_run(even):
    spec = "allreduce:ring:4MiB:order=rail:iterations=2:compute=20us"
    transfers, _ = build_transfers(even, parse_workload(spec))
    routes = build_routes(even)
    balancing = parse_balancing("spray")
    whole = run_flows(even, routes, balancing, transfers)
    stop_ns = whole.makespan_ns * 0.4
    begun = run_flows(even, routes, balancing, transfers, (), (), FlowOptions(stop_ns=stop_ns))
    rest, _ = unfinished(transfers, begun.finish_ns, begun.remaining_bytes, stop_ns)
    went_on = run_flows(even, routes, balancing, rest)
    # What is on its way at the stop travels its whole path once more.
    assert stop_ns + went_on.makespan_ns == pytest.approx(whole.makespan_ns, rel=0.01)


def test_traffic_at_a_moment_fills_the_links(even):
    transfers, _ = build_transfers(even, parse_workload("alltoall:64MiB"))
    routes = build_routes(even)
    channels = np.arange(len(even.channels.rate), dtype=np.int32)
    for balancing in ("spray", "ecmp"):
        traffic = traffic_at(
            even, routes, parse_balancing(balancing), transfers, 2e5, channels, 1e5
        )
        up = np.isin(even.channels.source, even.endpoints)
        per_host = traffic.packets_per_ns[up].sum(axis=1)
        assert per_host.max() <= 100 / 8 / 4178 * (1 + 1e-9)
        if balancing == "spray":
            assert per_host == pytest.approx(100 / 8 / 4178)


@pytest.mark.parametrize("balancing", ["spray", "pinned"])
@pytest.mark.parametrize("extra", ["", ":iterations=3:compute=50us", ":jobs=4"])
def test_rings_by_rule_end_when_those_written_out_do(even, extra, balancing):
    workload = parse_workload(f"allreduce:ring:16MiB:order=rail{extra}")
    transfers, _ = build_transfers(even, workload)
    args = (even, build_routes(even), parse_balancing(balancing))
    one = run_flows(*args, transfers)
    two = run_rings(*args, build_rings(even, workload))
    assert two.iterations.end_ns == pytest.approx(one.iterations.end_ns, rel=1e-9)
    assert two.channel_bytes == pytest.approx(one.channel_bytes)


def test_unreachable_hosts_are_told(even):
    routes = build_routes(even)
    transfers, _ = build_transfers(even, parse_workload("allreduce:ring:1MiB"))
    run = FlowRun(even, routes, parse_balancing("ecmp"), transfers, (), FlowOptions())
    host = int(even.endpoints[0])
    run.paths.state.withdrawn[routes.uplinks[routes.uplink_start[host]] ^ 1] = 1
    run.net, lost = run.paths.network()
    run.pairs.bad[:] = run._inspect(lost)
    run.play((), ())
    outcome = run.outcome()
    assert np.isnan(outcome.makespan_ns)
    assert (
        sum(stalled.transfers for stalled in outcome.stalled) == np.isnan(outcome.finish_ns).sum()
    )


def test_windows_follow_one_another(even):
    outcome = _run(even, "allreduce:ring:1MiB")
    assert all(a <= b for a, b in itertools.pairwise(outcome.window_ns))
    assert outcome.channel_bytes[BEFORE].any()
    assert not outcome.channel_bytes[AFTER].any()
