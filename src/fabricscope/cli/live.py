"""`fabricscope live` and `replay`: open the source, give up root, run until the end or Ctrl-C."""

import functools
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType

from rich.console import Console

from fabricscope.cli.live_alerts import open_alerts
from fabricscope.cli.live_exports import open_exports
from fabricscope.cli.live_rights import check_user, give_up_rights
from fabricscope.cli.live_settings import naming_from, retention, show
from fabricscope.cli.live_sources import check_sources, open_feed, open_rings, open_sources
from fabricscope.cli.live_view import LiveView
from fabricscope.compiled import forget_outdated
from fabricscope.config import LiveSettings, Settled
from fabricscope.errors import ConfigError
from fabricscope.pipeline.compilation import kernels_are_compiled
from fabricscope.pipeline.live.feeds import FileFeed, check_replayable
from fabricscope.pipeline.live.monitor import Monitor, MonitorOptions
from fabricscope.pipeline.live.session import LiveSession, Second, Telling
from fabricscope.pipeline.live.workers import SharedSession, Workers
from fabricscope.recorder import Recorder
from fabricscope.store import DeltaStore, Store, open_store

__all__ = ["check_live", "run_live", "run_replay"]


def run_live(capture: str, settled: Settled) -> None:
    """Watch mirror ports, or a pipe. Raises ConfigError for what cannot be opened."""
    settings = settled.settings
    _check_capture(capture)
    forget_outdated()
    with ExitStack() as stack:
        options = _options(settings)
        store = _store(settings, options.collector)
        if settings.user:
            check_user(settings.user)
        check_sources(capture, settings)
        if settings.interface and not settings.quiet and not kernels_are_compiled():
            print(
                "fabricscope: compiling the kernels for this machine, once; this takes minutes",
                file=sys.stderr,
            )
        session: LiveSession | SharedSession
        if settings.interface and settings.processes > 1:
            rings = open_rings(settings, stack)
            give_up = functools.partial(give_up_rights, settings.user)
            workers = Workers(rings, options, give_up)
            stack.enter_context(workers)
            session = SharedSession(options, workers)
        else:
            feed = open_feed(capture, settings, stack)
            session = LiveSession(feed, Monitor(options))
        session.sources += open_sources(settings, options, stack)
        run_session(settings, session, store, stack, time.time_ns)


def check_live(capture: str, settled: Settled) -> None:
    """Print the settings in force, and try what can be tried without starting anything.

    Raises ConfigError or StoreError for the first thing that would not work.
    """
    settings = settled.settings
    show(settled, Console())
    _check_capture(capture)
    options = _options(settings)
    retention(settings)
    store = _store(settings, options.collector)
    if settings.user:
        check_user(settings.user)
    check_sources(capture, settings)
    alerts = open_alerts(settings, options.collector, None, time.time_ns)
    with ExitStack() as stack:
        open_exports(settings, alerts, None, stack)
        if settings.interface:
            open_rings(settings, stack)
        open_sources(settings, options, stack)
    if isinstance(store, DeltaStore):
        store.check_writable()
    print("fabricscope: everything that live needs is there")


def run_replay(
    capture: str, settled: Settled, speed: float, loops: int, original_time: bool
) -> None:
    """Play a capture through the live pipeline."""
    settings = settled.settings
    check_replayable(capture)
    if speed < 0 or loops < 0:
        raise ConfigError("--speed and --loops must be 0 or more")
    forget_outdated()
    options = _options(settings)
    store = _store(settings, options.collector)
    rebase_ns = None if original_time else time.time_ns()
    with ExitStack() as stack:
        feed = FileFeed(capture, speed=speed, loops=loops, rebase_ns=rebase_ns)
        stack.callback(feed.close)
        session = LiveSession(feed, Monitor(options))
        run_session(settings, session, store, stack, feed.now_ns, ends=True)


def _check_capture(capture: str) -> None:
    if capture and capture != "-":
        raise ConfigError(
            f"live reads mirror ports, or - for a pipe; for the file {capture} use "
            "`fabricscope replay` or `fabricscope analyze`"
        )


def _options(settings: LiveSettings) -> MonitorOptions:
    collector = settings.collector or socket.gethostname()
    return MonitorOptions(collector=collector, naming=naming_from(settings))


def run_session(
    settings: LiveSettings,
    session: Telling,
    store: Store | None,
    stack: ExitStack,
    clock: Callable[[], int],
    *,
    ends: bool = False,
) -> None:
    """Run to the end; ends: what is seen has an end, after which nothing is the matter any more."""
    collector = session.options.collector
    recorder = None
    if store is not None:
        recorder = Recorder(store, collector, retention(settings), clock=clock)
        session.listeners.append(_keep_in(recorder))
    alerts = open_alerts(settings, collector, recorder, clock)
    session.listeners.append(alerts.listen)
    view = LiveView(Console(), collector, recorder, alerts, enabled=not settings.quiet)
    session.listeners.append(view.show)
    stack.enter_context(view)
    _end_on_signals(session)
    session.prepare()
    _end_after(session, settings.duration)
    give_up_rights(settings.user)
    session.listeners += open_exports(settings, alerts, recorder, stack)
    if recorder is not None and store is not None:
        stack.enter_context(store)
        recorder.start()
    alerts.start()
    try:
        session.run()
    finally:
        alerts.stop(ended=ends)
        if recorder is not None:
            recorder.stop()


def _store(settings: LiveSettings, collector: str) -> Store | None:
    if "://" in settings.store and settings.max_size:
        raise ConfigError(
            "--max-size is for stores in a directory; a database's own retention policy limits it"
        )
    retention(settings)
    return open_store(settings.store, collector) if settings.store else None


def _keep_in(recorder: Recorder) -> Callable[[Second], None]:
    def keep(second: Second) -> None:
        for table, frame in second.tables.items():
            recorder.append(table, frame)

    return keep


def _end_on_signals(session: Telling) -> None:
    """Stop in an orderly way on Ctrl-C and on a service's stop."""

    def stop(number: int, frame: FrameType | None) -> None:
        session.stop()

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)


def _end_after(session: Telling, duration_s: float) -> None:
    """Stop in an orderly way when the time is over."""
    if duration_s > 0:
        timer = threading.Timer(duration_s, session.stop)
        timer.daemon = True
        timer.start()
