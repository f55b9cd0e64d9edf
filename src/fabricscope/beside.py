"""Work in a process of its own, beside a program that has to stay responsive.

The process ends with its caller, when it is called off, and when it takes too long.
"""

import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Final

from fabricscope.errors import FabricscopeError

__all__ = ["Cancelled", "run_beside"]

Progress = Callable[[int, int | None], None]

_LOOK_S: Final = 0.05
_GRACE_S: Final = 2.0


class Cancelled(Exception):
    """The caller called the work off."""


def run_beside(
    work: Callable[..., Any],
    arguments: Sequence[object],
    progress: Progress = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
    *,
    limit_s: float = float("inf"),
    way_out: str = "ask for less at once",
) -> Any:
    """Return `work(*arguments, progress=...)`, called in a new process.

    work: a function of a module; arguments and result can be pickled. cancelled: asked 20 times a
    second. way_out: what to do where the process dies or takes longer than `limit_s`.
    Raises the FabricscopeError that `work` raised, or one for a process that ended without a
    result; Cancelled when `cancelled` said so.
    """
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(theirs, work, tuple(arguments)), daemon=True)
    process.start()
    theirs.close()
    try:
        return _follow(ours, progress, cancelled, time.monotonic() + limit_s, way_out)
    finally:
        process.terminate()
        process.join(_GRACE_S)
        if process.is_alive():
            process.kill()
            process.join()
        process.close()
        ours.close()


def _follow(
    ours: Connection,
    progress: Progress,
    cancelled: Callable[[], bool],
    until_s: float,
    way_out: str,
) -> Any:
    """Return the result once it is there; pass on what comes before it."""
    while True:
        if cancelled():
            raise Cancelled
        if time.monotonic() > until_s:
            raise FabricscopeError(f"the work takes longer than it may; {way_out}")
        if not ours.poll(_LOOK_S):
            continue
        try:
            kind, what = ours.recv()
        except EOFError:
            raise FabricscopeError(
                "the work's own process ended without a result, most likely for want of memory; "
                f"{way_out}"
            ) from None
        if kind == "progress":
            progress(*what)
        elif kind == "error":
            raise what
        else:
            return what


def _work(theirs: Connection, work: Callable[..., Any], arguments: tuple[object, ...]) -> None:
    """Work in the process of its own; a caller that is gone ends it."""

    def tell(done: int, total: int | None) -> None:
        theirs.send(("progress", (done, total)))

    try:
        theirs.send(("result", work(*arguments, progress=tell)))
    except FabricscopeError as error:
        theirs.send(("error", error))
    except BrokenPipeError:
        return
