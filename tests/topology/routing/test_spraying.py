"""How sprayed packets spread over equal-cost paths."""

import numpy as np
import pytest

from fabricscope.topology.builders import build
from fabricscope.topology.routing.routes import RouteState, build_routes
from fabricscope.topology.routing.spraying.kernels import spread


def _spread(fabric, dead=(), aware=False, withdrawn=()):
    routes = build_routes(fabric)
    state = RouteState.initial(routes)
    alive = np.ones(len(fabric.channels.rate), np.uint8)
    alive[list(dead)] = 0
    state.withdrawn[list(withdrawn)] = 1
    source = fabric.endpoints[:1]
    group = routes.group[fabric.endpoints[-1:]].astype(np.int64)
    (_, channels, shares), (_, _, arrived), lost = spread(
        routes, state, alive, source, group, aware
    )
    return dict(zip(channels.tolist(), shares.tolist(), strict=True)), arrived.sum(), lost[0]


@pytest.mark.parametrize(
    "spec", ["leaf-spine:4x3x2@100G", "fat-tree:4@100G", "dual-tor:2x3x2@100G"]
)
def test_every_device_passes_on_what_it_gets(spec):
    fabric = build(spec)
    shares, arrived, lost = _spread(fabric)
    assert (arrived, lost) == (pytest.approx(1.0), pytest.approx(0.0))
    balance = dict.fromkeys(range(len(fabric.devices)), 0.0)
    for channel, share in shares.items():
        balance[int(fabric.channels.source[channel])] -= share
        balance[int(fabric.channels.target[channel])] += share
    inner = [value for value in balance.values() if abs(value) > 1e-9]
    assert sum(inner) == pytest.approx(0.0)
    assert sum(value for value in inner if value > 0) == pytest.approx(1.0)


def test_a_dead_link_loses_its_share_until_somebody_knows():
    fabric = build("leaf-spine:4x4x2@100G")
    up = 2 * fabric.find_link("leaf0-spine1")
    up += int(fabric.devices[int(fabric.channels.source[up])].kind != "leaf")
    assert _spread(fabric, dead=[up])[2] == pytest.approx(0.25)
    shares, arrived, lost = _spread(fabric, dead=[up], aware=True)
    assert (arrived, lost) == (pytest.approx(1.0), 0.0)
    assert sorted(shares.values()) == pytest.approx([1 / 3] * 6)
    shares, _, lost = _spread(fabric, dead=[up], withdrawn=[up])
    assert lost == pytest.approx(0.0)
    assert sorted(shares.values()) == pytest.approx([1 / 3] * 6)
