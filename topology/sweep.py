"""A scenario at many points: every combination of the values that some of its keys may take."""

import copy
import itertools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, Final

from fabricscope.errors import FabricError
from fabricscope.topology.experiment import prepare
from fabricscope.topology.results import SCHEMA, Measured
from fabricscope.topology.scenario_file import Source, build_scenario, override
from fabricscope.topology.simulation import find_baselines, simulate

__all__ = ["simulate_sweep"]

MAX_POINTS: Final = 100_000
WITH_FAILURE: Final = ("failures", "recovery", "profile", "taps", "name")
"""Keys that a run without failure does not depend on."""
KEPT: Final = (
    "recovery", "convergence_us", "breakdown_us", "roles", "transport_us", "loss_duration_us",
    "packets_lost", "bytes_lost", "flows_affected", "qps_rtt", "qps_timeout", "jct_us", "stall_us",
    "jct_ratio", "mmr", "jfi", "stalled", "notes",
)  # fmt: skip
"""Of each result; the curves and maps of thousands of points would fill the memory."""


def simulate_sweep(
    content: Mapping[str, Any],
    source: Source,
    sweep: Mapping[str, Sequence[object]],
    processes: int = 1,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Return the document of all points: {schema, sweep, points: [{settings, results, ...}]}.

    Every point is checked before the first one runs, with a few exceptions that need the fabric.
    Raises FabricError that names the point's keys.
    """
    began_s = time.monotonic()
    keys = list(sweep)
    count = 1
    for values in sweep.values():
        count *= len(values)
    if count > MAX_POINTS:
        raise FabricError(f"--sweep has {count:,} points, more than {MAX_POINTS:,}; take fewer")
    points = [dict(zip(keys, values, strict=True)) for values in itertools.product(*sweep.values())]
    work = [(_at(content, source, point), _source(source, point)) for point in points]
    for changed, place in work:
        build_scenario(changed, place)
    prepare(build_scenario(*work[0]), work[0][1])
    results = []
    for document in _run_all(work, processes):
        results.append(document)
        progress(len(results), len(work))
    return {
        "schema": SCHEMA,
        "sweep": keys,
        "points": [
            {"settings": {key: _shown(value) for key, value in point.items()}, **document}
            for point, document in zip(points, results, strict=True)
        ],
        "elapsed_s": time.monotonic() - began_s,
    }


def _run_all(work: Sequence[tuple[dict[str, Any], Source]], processes: int) -> Any:
    if processes == 1 or len(work) == 1:
        yield from map(_run_point, work)
        return
    with ProcessPoolExecutor(min(processes, len(work)), get_context("spawn")) as pool:
        yield from pool.map(_run_point, work, chunksize=max(1, len(work) // (16 * processes)))


_baselines: dict[str, list[Measured]] = {}
"""The last runs without failure in this process: points mostly differ in what fails."""


def _run_point(work: tuple[dict[str, Any], Source]) -> dict[str, Any]:
    content, source = work
    key = json.dumps({**content, **dict.fromkeys(WITH_FAILURE)}, sort_keys=True, default=str)
    if key not in _baselines:
        _baselines.clear()
        _baselines[key] = find_baselines(content, source)
    document = simulate(content, source, baselines=_baselines[key])
    return {
        "fabric": document["fabric"]["name"],
        "engine": document["scenario"]["engine_used"],
        "baseline_us": document["workload"]["baseline_us"],
        "results": [{key: result[key] for key in KEPT} for result in document["results"]],
    }


def _at(content: Mapping[str, Any], source: Source, point: Mapping[str, object]) -> dict[str, Any]:
    changed = copy.deepcopy(dict(content))
    for key, value in point.items():
        override(changed, key, value, source)
    return changed


def _source(source: Source, point: Mapping[str, object]) -> Source:
    """Return where the keys of a point come from: the sweep, for those that it sets."""
    options = {key.split(".", 1)[0]: f"--sweep {key}={_shown(point[key])}" for key in point}
    return Source(source.file, {**source.options, **options})


def _shown(value: object) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else str(value)
