"""Max-min fair shares: textbook cases, the slow twin, and shares that are made again in part."""

import numpy as np
import pytest

from fabricscope.topology.flow_level.sharing.kernels import (
    limits_others,
    link_flow,
    share_again,
    start_alone,
    unlink_flow,
)
from fabricscope.topology.flow_level.state import Network, Sharing, Work
from fabricscope.topology.flow_level.static.kernels import share_all
from reference import topology_flows as reference


def make_network(paths, capacity, classes=(), class_of=None):
    """Return a network: paths are lists of channels, classes maps of channel to share."""
    hops = max(map(len, paths))
    entries = np.full((len(paths), hops), -1, np.int32)
    for flow, path in enumerate(paths):
        entries[flow, : len(path)] = path
    count = len(capacity)
    members = [(of, channel, share) for of, c in enumerate(classes) for channel, share in c.items()]
    table = np.array(members, np.float64).reshape(-1, 3)
    owner, channel, share = table[:, 0].astype(np.int32), table[:, 1].astype(np.int32), table[:, 2]
    order = np.argsort(channel, kind="stable")
    return Network(
        capacity=np.array(capacity, np.float64),
        delay_ns=np.zeros(count),
        packet_ns=np.zeros(count),
        alive=np.ones(count, np.uint8),
        loss=np.zeros(count),
        entries=entries,
        weights=np.ones((1, hops)),
        stride=0,
        class_of=np.full(len(paths), -1, np.int32)
        if class_of is None
        else np.array(class_of, np.int32),
        class_start=np.searchsorted(owner, np.arange(len(classes) + 1)).astype(np.int64),
        class_channels=channel,
        class_weights=np.ascontiguousarray(share),
        channel_start=np.searchsorted(channel[order], np.arange(count + 1)).astype(np.int64),
        channel_classes=owner[order],
        channel_weights=np.ascontiguousarray(share[order]),
    )


def share_static(net):
    nobody = net._replace(entries=net.entries[:0])
    flows = len(net.entries)
    ends = np.zeros(flows, np.int32), np.ones(flows, np.int32)
    return share_all(net, Sharing.empty(nobody), Work.empty(nobody), *ends)


def share_from_scratch(net):
    run, work = Sharing.empty(net), Work.empty(net)
    for flow in range(len(net.entries)):
        link_flow(net, run, flow)
    seeds = np.arange(len(net.capacity), dtype=np.int32)
    count = share_again(net, run, work, seeds, len(seeds))
    assert count == len(net.entries)
    return work.rate.copy()


def expect(net):
    paths = []
    for flow, row in enumerate(net.entries):
        path = {int(channel): 1.0 for channel in row if channel >= 0}
        of = net.class_of[flow]
        if of >= 0:
            begin, end = net.class_start[of : of + 2]
            path |= dict(
                zip(
                    net.class_channels[begin:end].tolist(),
                    net.class_weights[begin:end].tolist(),
                    strict=True,
                )
            )
        paths.append(path)
    return reference.fair_rates(paths, net.capacity.tolist())


TEXTBOOK = {
    "one link, three flows": ([[0], [0], [0]], [9], [3, 3, 3]),
    "the long flow of a parking lot": ([[0, 1], [0], [1]], [1, 1], [0.5, 0.5, 0.5]),
    "what one cannot use is the other's": ([[0, 1], [1], [1]], [2, 10], [2, 4, 4]),
    "Bertsekas and Gallager, figure 6.11": (
        [[0, 1, 2], [0], [0], [1, 2], [2]],
        [1, 1, 1],
        [1 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3],
    ),
    "a tree": ([[0, 2], [1, 2], [1, 3]], [1, 4, 3, 10], [1, 2, 2]),
}


@pytest.mark.parametrize("name", TEXTBOOK)
@pytest.mark.parametrize("solve", [share_static, share_from_scratch])
def test_textbook_cases(name, solve):
    paths, capacity, rates = TEXTBOOK[name]
    assert solve(make_network(paths, capacity)) == pytest.approx(rates)


def _random_network(rng):
    channels = int(rng.integers(2, 12))
    flows = int(rng.integers(1, 20))
    paths = [
        rng.choice(channels, int(rng.integers(1, min(channels, 4) + 1)), replace=False)
        for _ in range(flows)
    ]
    classes = []
    for _ in range(int(rng.integers(0, 4))):
        chosen = rng.choice(channels, int(rng.integers(1, channels + 1)), replace=False)
        classes.append({int(c): 1 / len(chosen) for c in chosen})
    class_of = [int(rng.integers(-1, len(classes))) if classes else -1 for _ in range(flows)]
    # A flow's own channels and its class's are apart, as access links and the fabric are.
    own = [
        [c for c in p if class_of[f] < 0 or c not in classes[class_of[f]]]
        for f, p in enumerate(paths)
    ]
    extra = [path or [channels + flow] for flow, path in enumerate(own)]
    capacity = rng.integers(1, 20, channels + flows).astype(float)
    return make_network(extra, capacity, classes, class_of)


@pytest.mark.parametrize("seed", range(40))
def test_shares_are_those_of_the_slow_twin(seed):
    net = _random_network(np.random.default_rng(seed))
    expected = expect(net)
    assert share_static(net) == pytest.approx(expected, rel=1e-9)
    assert share_from_scratch(net) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(25))
def test_shares_made_again_in_part_are_those_made_from_scratch(seed):
    rng = np.random.default_rng(1000 + seed)
    net = _random_network(rng)
    run, work = Sharing.empty(net), Work.empty(net)
    active: set[int] = set()
    for _ in range(60):
        flow = int(rng.integers(len(net.entries)))
        seeds = np.zeros(0, np.int32)
        if flow in active:
            others = limits_others(net, run, flow)
            unlink_flow(net, run, flow)
            active.remove(flow)
            if others:
                seeds = net.entries[flow][net.entries[flow] >= 0]
                of = net.class_of[flow]
                if of >= 0:
                    begin, end = net.class_start[of : of + 2]
                    seeds = np.concatenate((seeds, net.class_channels[begin:end]))
        else:
            link_flow(net, run, flow)
            active.add(flow)
            if not start_alone(net, run, flow):
                seeds = net.entries[flow, :1]
        if len(seeds):
            count = share_again(net, run, work, seeds.astype(np.int32), len(seeds))
            changed = work.flows[:count]
            run.rate[changed] = work.rate[changed]
        chosen = sorted(active)
        if chosen:
            part = net._replace(entries=net.entries[chosen], class_of=net.class_of[chosen])
            assert run.rate[chosen] == pytest.approx(expect(part), rel=1e-6)
