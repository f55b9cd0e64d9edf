"""One running collector: what it watches, and who is told what each second brought.

The wiring stands here: packets are counted second by second (`watch`), each second's counts become
samples (`judging`), and these go to every listener.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import polars as pl

from fabricscope.pipeline.live.counts import SecondCounts
from fabricscope.pipeline.live.feeds import Feed, RingFeed
from fabricscope.pipeline.live.judging import SecondJudge
from fabricscope.pipeline.live.monitor import Monitor, MonitorOptions
from fabricscope.pipeline.live.overload import Overload
from fabricscope.pipeline.live.ports import SampleSource
from fabricscope.pipeline.live.warming import warm_up
from fabricscope.pipeline.live.watch import Watch

__all__ = ["LiveSession", "Second", "Telling"]


@dataclass(frozen=True)
class Second:
    """What one second brought. tables: rows by the name of their table; judge: what it knows."""

    start_ns: int
    end_ns: int
    tables: dict[str, pl.DataFrame]
    judge: SecondJudge


@dataclass
class Telling:
    """Judges each second's counts and tells every listener.

    sources: what else has a say each second; with one, seconds pass without packets too. aside:
    packets do not wait, so that long looks take place beside them.
    """

    options: MonitorOptions
    listeners: list[Callable[[Second], None]] = field(default_factory=list)
    sources: list[SampleSource] = field(default_factory=list)
    aside: bool = False

    def __post_init__(self) -> None:
        """Prepare the judge."""
        self.judge = SecondJudge(self.options.collector, self.options.naming, aside=self.aside)

    def prepare(self) -> None:
        """Get ready for packets while there are rights still; by itself there is nothing to do."""

    def run(self) -> None:
        """Carry packets until the end."""

    def stop(self) -> None:
        """End the run after what has come already; may be called from a signal handler."""

    def poll(self) -> None:
        """Let sources take in what has come."""
        for source in self.sources:
            source.poll()

    def tell(self, counts: SecondCounts) -> None:
        """Judge a second and tell everybody."""
        tables = self.judge.tables(counts)
        for source in self.sources:
            for name, frame in source.sample(counts.start_ns, counts.end_ns).items():
                tables[name] = pl.concat([tables[name], frame]) if name in tables else frame
        second = Second(counts.start_ns, counts.end_ns, tables, self.judge)
        for listener in self.listeners:
            listener(second)


class LiveSession(Telling):
    """Runs a feed through a monitor in this process until it ends or `stop` is called."""

    def __init__(
        self,
        feed: Feed,
        monitor: Monitor,
        listeners: Sequence[Callable[[Second], None]] = (),
        *,
        overload: Overload | None = None,
        sources: Sequence[SampleSource] = (),
    ) -> None:
        """Prepare the watch."""
        super().__init__(monitor.options, list(listeners), list(sources), aside=not feed.waits)
        self.feed = feed
        self.monitor = monitor
        self.overload = overload or Overload()
        monitor.wants_view = self.judge.wants_view
        self._watch = Watch(feed, monitor, self.tell, poll=self.poll)

    @property
    def packets(self) -> int:
        """Packets read so far."""
        return self._watch.packets

    def prepare(self) -> None:
        """Load what the first packets would wait for, then let them in."""
        if isinstance(self.feed, RingFeed):
            warm_up(self.feed.interfaces, self.feed.tunnel_kinds)
            self.feed.start()

    def stop(self) -> None:
        """End the run after what has come already; may be called from a signal handler."""
        self._watch.stop()

    def run(self) -> None:
        """Carry packets until the end; the last, incomplete second is told too."""
        self._watch.overload = self.overload
        self._watch.idle = bool(self.sources) or isinstance(self.feed, RingFeed)
        self._watch.run()
