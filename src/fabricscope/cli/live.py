"""`fabricscope live` and `replay`: open the source, give up root, run until the end or Ctrl-C."""

import os
import pwd
import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import FrameType
from typing import Final

from rich.console import Console

from fabricscope.cli.live_sources import open_feed, open_sources
from fabricscope.cli.live_view import LiveView
from fabricscope.collectors.sflow.listener import SFLOW_PORT
from fabricscope.compiled import forget_outdated
from fabricscope.errors import ConfigError
from fabricscope.pipeline.live.feeds import Feed, FileFeed, check_replayable
from fabricscope.pipeline.live.monitor import Monitor, MonitorOptions
from fabricscope.pipeline.live.naming import Naming
from fabricscope.pipeline.live.session import LiveSession, Second
from fabricscope.recorder import Recorder, Retention
from fabricscope.store import Store, open_store

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_UNITS_BYTES: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(frozen=True)
class LiveRequest:
    """What the command line asked for."""

    capture: str = ""
    interfaces: tuple[str, ...] = ()
    filter: str = ""
    store: str = ""
    collector: str = ""
    link_rate_gbps: float = 100.0
    keep: str = ""
    max_size: str = ""
    user: str = ""
    ring_mib: int = 128
    hardware_time: bool = False
    duration_s: float = 0.0
    quiet: bool = False
    listen: tuple[str, ...] = ()
    sflow_port: int = SFLOW_PORT
    counters: str = ""
    gnmi: tuple[str, ...] = ()


def run_live(request: LiveRequest) -> None:
    """Watch mirror ports, or a pipe. Raises ConfigError for what cannot be opened."""
    if request.capture and request.capture != "-":
        raise ConfigError(
            f"live reads mirror ports, or - for a pipe; for the file {request.capture} use "
            "`fabricscope replay` or `fabricscope analyze`"
        )
    with ExitStack() as stack:
        feed = open_feed(request, stack)
        _run(request, feed, stack)


def run_replay(request: LiveRequest, speed: float, loops: int, original_time: bool) -> None:
    """Play a capture through the live pipeline."""
    check_replayable(request.capture)
    if speed < 0 or loops < 0:
        raise ConfigError("--speed and --loops must be 0 or more")
    rebase_ns = None if original_time else time.time_ns()
    with ExitStack() as stack:
        feed = FileFeed(request.capture, speed=speed, loops=loops, rebase_ns=rebase_ns)
        stack.callback(feed.close)
        _run(request, feed, stack)


def become(name: str) -> None:
    """Give up root for good. Raises ConfigError for an unknown user, or without root."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise ConfigError(f"--user {name}: there is no such user on this host") from None
    if os.geteuid() != 0:
        raise ConfigError(f"--user {name}: only root can become another user; leave it out")
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    os.environ["HOME"] = entry.pw_dir


def _run(request: LiveRequest, feed: Feed, stack: ExitStack) -> None:
    forget_outdated()
    collector = request.collector or socket.gethostname()
    naming = Naming(default_rate_gbps=request.link_rate_gbps)
    monitor = Monitor(MonitorOptions(collector=collector, naming=naming))
    session = LiveSession(feed, monitor)
    session.sources += open_sources(request, collector, stack)
    recorder = None
    store = _store(request, collector)
    if store is not None:
        recorder = Recorder(
            store,
            collector,
            Retention(
                keep_ns=int(parse_seconds(request.keep) * 1e9) if request.keep else None,
                max_bytes=parse_bytes(request.max_size) if request.max_size else None,
            ),
            clock=feed.now_ns,
        )
        session.listeners.append(_keep_in(recorder))
    view = LiveView(Console(), collector, recorder, enabled=not request.quiet)
    stack.enter_context(view)
    session.listeners.append(view.show)
    _end_on_signals(session, request.duration_s)
    if request.user:
        become(request.user)
    if recorder is not None and store is not None:
        stack.enter_context(store)
        recorder.start()
    session.run()
    if recorder is not None:
        recorder.stop()


def _store(request: LiveRequest, collector: str) -> Store | None:
    if "://" in request.store and request.max_size:
        raise ConfigError(
            "--max-size is for stores in a directory; a database's own retention policy limits it"
        )
    return open_store(request.store, collector) if request.store else None


def _keep_in(recorder: Recorder) -> Callable[[Second], None]:
    def keep(second: Second) -> None:
        for table, frame in second.tables.items():
            recorder.append(table, frame)

    return keep


def _end_on_signals(session: LiveSession, duration_s: float) -> None:
    """Stop in an orderly way on Ctrl-C, on a service's stop, and when the time is over."""

    def stop(number: int, frame: FrameType | None) -> None:
        session.stop()

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)
    if duration_s > 0:
        timer = threading.Timer(duration_s, session.stop)
        timer.daemon = True
        timer.start()


def parse_seconds(text: str) -> float:
    """Return the seconds of a time such as 30d, 12h or 90s. Raises ConfigError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if not found:
        raise ConfigError(f"{text!r} is no time; write a number with s, m, h, d or w, as 30d")
    return float(found[1]) * _UNITS_S[found[2]]


def parse_bytes(text: str) -> int:
    """Return the bytes of a size such as 20G or 500M (decimal). Raises ConfigError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)B?", text.strip().upper())
    if not found:
        raise ConfigError(f"{text!r} is no size; write a number with K, M, G or T, as 20G")
    return int(float(found[1]) * _UNITS_BYTES[found[2]])
