"""Collectives as transfers: what is sent, what waits for what, and how workloads are written."""

import collections
import itertools

import numpy as np
import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.builders import build
from fabricscope.topology.workloads.rings import build_rings
from fabricscope.topology.workloads.spec import build_transfers, order_endpoints, parse_workload
from fabricscope.topology.workloads.striping import stripe, unfinished

SPECS = [
    "allreduce:ring:1MiB",
    "allreduce:tree:8MiB:iterations=2:compute=1ms",
    "allreduce:tree:8MiB:ranks=7",
    "allreduce:halving_doubling:1MiB:ranks=7",
    "allreduce:halving-doubling:1MiB:iterations=2",
    "allreduce:direct:1MiB:iterations=3:compute=5us",
    "allreduce:hierarchical:1MiB",
    "allgather:1MiB:order=rail:jobs=4",
    "reducescatter:1MiB:order=random",
    "alltoall:64MiB:iterations=2",
    "p2p:1MiB:ranks=4:batches=3:iterations=2",
    "permutation:2MB",
    "incast:1MB:ranks=9",
]


def _order(transfers):
    """Return the transfers in an order in which each comes after those that it waits for."""
    waits = transfers.waits.copy()
    waiting = collections.deque(np.flatnonzero(waits == 0).tolist())
    order = []
    while waiting:
        order.append(waiting.popleft())
        begin, end = transfers.successor_start[order[-1] : order[-1] + 2]
        for following in transfers.successors[begin:end].tolist():
            waits[following] -= 1
            if waits[following] == 0:
                waiting.append(following)
    return order


@pytest.fixture(scope="module")
def fabric():
    return build("rail:4x2x2@100G,units=2")


@pytest.mark.parametrize("spec", SPECS)
def test_every_transfer_gets_its_turn_and_queue_pairs_keep_their_ends(fabric, spec):
    transfers, _ = build_transfers(fabric, parse_workload(spec))
    assert len(_order(transfers)) == len(transfers.source)
    ends = set(
        zip(
            transfers.queue_pair.tolist(),
            transfers.source.tolist(),
            transfers.destination.tolist(),
            strict=True,
        )
    )
    assert len(ends) == len(np.unique(transfers.queue_pair))


@pytest.mark.parametrize(
    "algorithm", ["ring", "tree", "halving_doubling", "direct", "hierarchical"]
)
@pytest.mark.parametrize("ranks", [2, 4, 8])
def test_an_allreduce_brings_every_rank_every_contribution(fabric, algorithm, ranks):
    spec = f"allreduce:{algorithm}:1MiB:ranks={ranks}"
    transfers, _ = build_transfers(fabric, parse_workload(spec))
    known = {int(device): {int(device)} for device in np.unique(transfers.source)}
    for number in _order(transfers):
        known[int(transfers.destination[number])] |= known[int(transfers.source[number])]
    assert len(known) == ranks
    assert all(contributions == set(known) for contributions in known.values())


@pytest.mark.parametrize("algorithm", ["ring", "halving_doubling", "direct"])
def test_bandwidth_optimal_allreduces_send_twice_the_rest_of_the_buffer(fabric, algorithm):
    size = 1 << 20
    transfers, _ = build_transfers(fabric, parse_workload(f"allreduce:{algorithm}:{size}:ranks=8"))
    sent = np.bincount(transfers.source, transfers.size_bytes)
    assert sent[sent > 0] == pytest.approx(2 * 7 / 8 * size, rel=1e-6)


def test_rail_order_never_puts_neighbours_on_one_leaf():
    fabric = build("leaf-spine:4x2x4@100G")
    order = order_endpoints(fabric, "rail")
    leaf = (np.arange(16) // 4)[np.argsort(np.argsort(fabric.endpoints))]
    of = dict(zip(fabric.endpoints.tolist(), leaf.tolist(), strict=True))
    leaves = [of[int(device)] for device in order]
    assert all(a != b for a, b in itertools.pairwise(leaves))


def test_stripes_carry_the_same_bytes_and_wait_for_all_parts(fabric):
    whole, _ = build_transfers(fabric, parse_workload("allreduce:ring:1000001:ranks=4"))
    parts = stripe(whole, 3)
    assert (parts.size_bytes.reshape(-1, 3).sum(axis=1) == whole.size_bytes).all()
    assert len(_order(parts)) == 3 * len(whole.source)
    assert (parts.waits == np.repeat(whole.waits * 3, 3)).all()
    assert (
        np.bincount(parts.successors, minlength=len(parts.waits)).tolist() == parts.waits.tolist()
    )


def test_what_is_left_waits_only_for_what_is_left(fabric):
    whole, _ = build_transfers(fabric, parse_workload("allreduce:ring:1MiB:ranks=4:compute=1us"))
    finish_ns = np.full(len(whole.source), np.nan)
    finish_ns[:5] = 100.0
    rest, number = unfinished(whole, finish_ns, whole.size_bytes.astype(float), 150.0)
    assert number.tolist() == list(range(5, len(finish_ns)))
    assert len(_order(rest)) == len(number)
    assert rest.waits.sum() == len(rest.successors)


def test_rings_by_rule_are_those_written_out(fabric):
    workload = parse_workload("allreduce:ring:1MiB:jobs=2:order=rail")
    rings = build_rings(fabric, workload)
    transfers, _ = build_transfers(fabric, workload)
    assert rings.steps * rings.members.size == len(transfers.source)
    assert (rings.members[0] == transfers.source[: rings.members.shape[1]]).all()
    with pytest.raises(FabricError, match="no ring"):
        build_rings(fabric, parse_workload("alltoall:1MiB"))


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        ("allreduse:ring:1GiB", "allreduse"),
        ("allreduce:star:1GiB", "star"),
        ("allreduce:ring", "size"),
        ("allreduce:ring:1GiX", "1GiX"),
        ("allreduce:ring:1GiB:ranks=1", "ranks=1"),
        ("allreduce:ring:1GiB:order=up", "order=up"),
        ("allreduce:ring:1GiB:iterations=1e9", "iterations=1e9"),
    ],
)
def test_misspelt_workloads_are_one_sentence(spec, part):
    with pytest.raises(FabricError) as error:
        parse_workload(spec)
    assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_too_many_ranks_and_transfers_are_refused(fabric):
    with pytest.raises(FabricError, match="endpoints"):
        build_transfers(fabric, parse_workload("allreduce:ring:1MiB:ranks=999"))
    with pytest.raises(FabricError, match="transfers"):
        build_transfers(fabric, parse_workload("alltoall:1MiB:iterations=900000"))


def test_a_background_fills_its_share_of_the_rate(fabric):
    spec = "background:64KiB:load=40%:duration=20ms:ranks=8"
    transfers, _ = build_transfers(fabric, parse_workload(spec))
    rate = fabric.channels.rate[np.isin(fabric.channels.source, fabric.endpoints)].max() / 8
    load = transfers.size_bytes.sum() / (8 * rate * 20e6)
    assert load == pytest.approx(0.4, rel=0.05)
    assert (transfers.source != transfers.destination).all()
    assert len(transfers.successors) == 0
    # Gaps of a Poisson process: standard deviation and mean are equal.
    gaps = np.diff(transfers.delay_ns)
    assert (gaps >= 0).all()
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.1)
    again, _ = build_transfers(fabric, parse_workload(spec))
    np.testing.assert_array_equal(again.delay_ns, transfers.delay_ns)


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        ("background:64KiB", "needs a load"),
        ("background:64KiB:load=30%", "needs a load"),
        ("background:64KiB:load=130%:duration=1ms", "above 1"),
        ("background:1B:load=50%:duration=10s", "that fit"),
    ],
)
def test_backgrounds_that_cannot_be_are_refused(fabric, spec, part):
    with pytest.raises(FabricError, match=part):
        build_transfers(fabric, parse_workload(spec))
