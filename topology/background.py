"""A scenario run beside a program that has to stay responsive, and that may be called off.

What is run and what comes out stands in simulation.py, the process of its own in beside.py.
"""

from collections.abc import Callable, Mapping
from typing import Any

from fabricscope.beside import Cancelled as SimulationCancelled
from fabricscope.beside import run_beside
from fabricscope.topology.scenario_file import Source, build_scenario

__all__ = ["SimulationCancelled", "run_scenario"]


def run_scenario(
    content: Mapping[str, Any],
    progress: Callable[[int, int | None], None] = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
    file: str = "",
) -> dict[str, Any]:
    """Return the document (docs/simulation.md) of the scenario with the keys `content`.

    The scenario runs in a process of its own, so that threads of the caller go on, and it can be
    stopped in the midst of a run; call this in a thread where the caller has others to serve.
    progress: called with the runs that are over and all runs (one without failure and one for each
    scheme, times the repetitions), (0, total) first. cancelled: asked 20 times a second. file: the
    scenario's file, for messages and for paths beside it.

    Raises FabricscopeError with the sentence for the user, at once where `content` is wrong in
    itself; SimulationCancelled when `cancelled` said so.
    """
    scenario = build_scenario(content, Source(file))
    progress(0, scenario.repetitions * (1 + len(scenario.recovery)))
    document: dict[str, Any] = run_beside(
        _simulate,
        (dict(content), file),
        progress,
        cancelled,
        way_out="take fewer ranks or the flow level",
    )
    return document


def _simulate(
    content: dict[str, Any], file: str, progress: Callable[[int, int | None], None]
) -> dict[str, Any]:
    from fabricscope.topology.simulation import simulate

    return simulate(content, Source(file), progress=progress)
