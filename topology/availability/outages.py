"""How long a recovery scheme leaves traffic without a path: draws from its own plans."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fabricscope.topology.builders import build
from fabricscope.topology.convergence import find_convergence
from fabricscope.topology.failure_specs import compile_failure, parse_failure
from fabricscope.topology.recovery.plan import Situation, Traffic
from fabricscope.topology.recovery.registry import make_scheme
from fabricscope.topology.routing.routes import build_routes

__all__ = ["OutageDraws", "draw_outages"]

FABRIC = "leaf-spine:8x4x16@400G"
LINK = "leaf3-spine1@0ms"
SWITCH = "spine1@0ms"
DRAWS = 100


class OutageDraws(NamedTuple):
    """Convergence times in ns of one scheme; inf where it never converges.

    link, switch: of failures that ports show; silent_link, silent_switch: of those that none does.
    """

    link: NDArray[np.float64]
    switch: NDArray[np.float64]
    silent_link: NDArray[np.float64]
    silent_switch: NDArray[np.float64]


def draw_outages(scheme_name: str, profile: str, rng: np.random.Generator) -> OutageDraws:
    """Return how long the textbook fabric takes to converge, in draws of the scheme's chance.

    Raises FabricError for a scheme or profile that does not exist.
    """
    scheme = make_scheme(scheme_name, profile)
    fabric = build(FABRIC)
    routes = build_routes(fabric)
    traffic = Traffic(np.empty(0, np.int32), np.empty((0, routes.distance.shape[0])))
    columns = []
    for spec in (LINK, SWITCH, f"{LINK}:silent", f"{SWITCH}:silent"):
        failure = compile_failure(parse_failure(spec), fabric)
        situation = Situation(fabric, routes, failure, traffic)
        times = []
        for _ in range(DRAWS):
            found = find_convergence(situation, scheme.plan(situation, rng)).convergence_ns
            times.append(math.inf if found is None else found)
        columns.append(np.array(times))
    return OutageDraws(*columns)
