"""Situations for tests of failures and recovery: short forms of a fabric and of failures."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from fabricscope.topology.builders import build
from fabricscope.topology.failure_specs import compile_failure, endpoints_cut_off, parse_failure
from fabricscope.topology.failures import combine_failures
from fabricscope.topology.recovery.plan import Situation, Traffic
from fabricscope.topology.routing.routes import build_routes

Situate = Callable[..., Situation]


@pytest.fixture(scope="session")
def situate() -> Situate:
    """Return what makes a situation without traffic of a fabric and failures."""

    def make(fabric_spec: str, *specs: str) -> Situation:
        fabric = build(fabric_spec)
        failures = [compile_failure(parse_failure(spec), fabric) for spec in specs]
        routes = build_routes(fabric, endpoints_cut_off(failures, fabric))
        groups = routes.distance.shape[0]
        traffic = Traffic(np.empty(0, np.int32), np.empty((0, groups)))
        return Situation(fabric, routes, combine_failures(failures), traffic)

    return make


@pytest.fixture(autouse=True)
def _wrapping_hashes() -> Iterator[None]:
    """Let hashes wrap around silently where kernels run as plain Python (NUMBA_DISABLE_JIT)."""
    with np.errstate(over="ignore"):
        yield
