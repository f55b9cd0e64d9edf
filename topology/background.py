"""A scenario run beside a program that has to stay responsive, and that may be called off.

What is run and what comes out stands in simulation.py; here is the process of its own around it.
"""

from collections.abc import Callable, Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Final

from fabricscope.errors import FabricError, FabricscopeError
from fabricscope.topology.scenario_file import Source, build_scenario

__all__ = ["SimulationCancelled", "run_scenario"]

_LOOK_S: Final = 0.05
_GRACE_S: Final = 2.0


class SimulationCancelled(Exception):
    """The caller called the simulation off."""


def run_scenario(
    content: Mapping[str, Any],
    progress: Callable[[int, int], None] = lambda done, total: None,
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
    source = Source(file)
    scenario = build_scenario(content, source)
    progress(0, scenario.repetitions * (1 + len(scenario.recovery)))
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(theirs, dict(content), file), daemon=True)
    process.start()
    theirs.close()
    try:
        return _follow(ours, progress, cancelled)
    finally:
        process.terminate()
        process.join(_GRACE_S)
        if process.is_alive():
            process.kill()
            process.join()
        process.close()
        ours.close()


def _follow(
    ours: Connection, progress: Callable[[int, int], None], cancelled: Callable[[], bool]
) -> dict[str, Any]:
    """Return the document once it is there; pass on what comes before it."""
    while True:
        if cancelled():
            raise SimulationCancelled
        if not ours.poll(_LOOK_S):
            continue
        try:
            kind, what = ours.recv()
        except EOFError:
            raise FabricError(
                "the simulation's process ended without a result, most likely for want of "
                "memory; take fewer ranks or the flow level"
            ) from None
        if kind == "progress":
            progress(*what)
        elif kind == "error":
            raise what
        else:
            document: dict[str, Any] = what
            return document


def _work(theirs: Connection, content: dict[str, Any], file: str) -> None:
    """Simulate in the process of its own; a caller that is gone ends it."""
    from fabricscope.topology.simulation import simulate

    def tell(done: int, total: int | None) -> None:
        theirs.send(("progress", (done, total)))

    try:
        theirs.send(("document", simulate(content, Source(file), progress=tell)))
    except FabricscopeError as error:
        theirs.send(("error", error))
    except BrokenPipeError:
        return
