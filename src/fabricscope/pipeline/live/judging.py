"""From a second's counts to its samples: rates, scores and jobs, of all processes together."""

import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final

import polars as pl

from fabricscope.pipeline.live.counts import SecondCounts
from fabricscope.pipeline.live.links import LinkJudge
from fabricscope.pipeline.live.naming import Naming
from fabricscope.pipeline.live.samples import tap_samples
from fabricscope.pipeline.live.training import LiveTraining
from fabricscope.pipeline.live.transfers import TransferView

__all__ = ["SecondJudge"]

PATIENCE_S: Final = 0.25
FEW_BYTES: Final = 100_000_000
"""With fewer bytes in a second the ring has room for packets that wait for a look as long as this,
so that its rows come with its own second."""


class SecondJudge:
    """Makes the rows of each second; remembers what is usual and which iterations were told.

    aside: look at training jobs in a thread beside, so that packets need not wait for it; its rows
    come with the second in which it ends. While one is under way, and for as long again, no other
    begins.
    """

    def __init__(self, collector: str, naming: Naming, *, aside: bool = False) -> None:
        """Know nothing yet."""
        self._beside = ThreadPoolExecutor(1, "training") if aside else None
        self._look: tuple[Future[pl.DataFrame], int] | None = None
        self._collector = collector
        self._naming = naming
        self._links = LinkJudge(collector, naming)
        self.training = LiveTraining(collector)
        self.level = 0
        self.sampling = 1
        self.left_out: dict[str, int] = {}

    def wants_view(self) -> bool:
        """Tell whether a look can begin: else nobody needs to copy what it would be at."""
        if self._beside is None:
            return True
        busy = self._look is not None and not self._look[0].done()
        return not busy and time.monotonic() >= self.training.rest_until_s

    def tables(self, counts: SecondCounts) -> dict[str, pl.DataFrame]:
        """Return the rows of a second by the name of their table."""
        self.level, self.sampling = counts.level, counts.sampling
        # Of several processes one may have told nothing this second: what was told stays.
        for name, value in counts.left_out.items():
            self.left_out[name] = max(value, self.left_out.get(name, 0))
        self._naming.learn(counts.neighbours)
        seen_bytes = sum(tap.bytes for tap in counts.taps.values())
        patience_s = PATIENCE_S if seen_bytes < FEW_BYTES else 0.0
        iterations, jobs = self._training(counts.transfers, counts.end_ns, patience_s)
        slow = self.training.slow_links(counts.end_ns)
        tables = {
            "tap_samples": tap_samples(
                counts.start_ns, self._collector, counts.taps, counts.sampling, counts.level
            ),
            "link_samples": self._links.samples(counts, slow),
            "rdma_samples": counts.rdma,
            "application_samples": counts.applications,
            "iterations": iterations,
            "job_samples": jobs,
            "flows": counts.flows,
        }
        return {name: frame for name, frame in tables.items() if not frame.is_empty()}

    def _training(
        self, view: TransferView | None, end_ns: int, patience_s: float
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return iterations and jobs that a look found, none where there was no look."""
        found: list[tuple[pl.DataFrame, pl.DataFrame]] = []
        last = view is not None and view.last
        if self._look is not None and (last or self._look[0].done()):
            found.append(self._result_of(*self._look))
        if view is not None and self._look is None:
            if self._beside is None or last:
                rows = self.training.look(view, end_ns)
                found.append((rows, self.training.job_samples(end_ns)))
            elif self.wants_view():
                self._look = self._beside.submit(self.training.look, view, end_ns), end_ns
                wait([self._look[0]], timeout=patience_s)
                if self._look[0].done():
                    found.append(self._result_of(*self._look))
        iterations = [rows for rows, _ in found if not rows.is_empty()]
        return (
            pl.concat(iterations) if iterations else pl.DataFrame(),
            found[-1][1] if found else pl.DataFrame(),
        )

    def _result_of(
        self, look: Future[pl.DataFrame], looked_ns: int
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        self._look = None
        return look.result(), self.training.job_samples(looked_ns)
