"""From a second's counts to its samples: rates, scores and jobs, of all processes together."""

from typing import Any

import polars as pl

from fabricscope.pipeline.live.counts import SecondCounts
from fabricscope.pipeline.live.links import LinkJudge
from fabricscope.pipeline.live.naming import Naming
from fabricscope.pipeline.live.samples import tap_samples
from fabricscope.pipeline.live.training import LiveTraining

__all__ = ["SecondJudge"]


class SecondJudge:
    """Makes the rows of each second; remembers what is usual and which iterations were told."""

    def __init__(self, collector: str, naming: Naming) -> None:
        """Know nothing yet."""
        self._collector = collector
        self._naming = naming
        self._links = LinkJudge(collector, naming)
        self.training = LiveTraining(collector)
        self.level = 0
        self.sampling = 1
        self.left_out: dict[str, Any] = {}

    def tables(self, counts: SecondCounts) -> dict[str, pl.DataFrame]:
        """Return the rows of a second by the name of their table."""
        self.level, self.sampling = counts.level, counts.sampling
        self.left_out = counts.left_out
        self._naming.learn(counts.neighbours)
        iterations, jobs = pl.DataFrame(), pl.DataFrame()
        if counts.transfers is not None:
            iterations = self.training.look(counts.transfers, counts.end_ns)
            jobs = self.training.job_samples(counts.end_ns)
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
