"""`fabricscope demo`: a whole system on one host - collectors, a store, and the site over them.

Three collectors write to one store: a simulated fabric, generated RDMA traffic, and recorded jobs.
They run in processes of their own, as collectors of a real fabric do.
"""

import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer

from fabricscope.claims import claim
from fabricscope.errors import ConfigError

__all__ = ["DemoRequest", "run"]

CHECKOUT: Final = Path(__file__).resolve().parents[3]
FABRIC: Final = "leaf-spine:5x4x4@400G"
SIMULATED: Final = "leaf-spine:3x4x4@400G"
"""Its first three leaves; the hosts of the other two are those of the captures."""
COMPILATION_S: Final = 300
"""Longest wait of one collector for another's compilation; then it compiles for itself."""
HISTORY_S: Final = 120
"""Seconds of the simulated fabric's past that are there at the start."""
KEEP: Final = "6h"

GENERATED: Final = {f"10.0.0.{k + 1}": f"host{12 + k}-leaf3" for k in range(4)}
RECORDED: Final = {f"10.77.0.{10 + k}": f"host{16 + k}-leaf4" for k in range(4)}
GENERATED_GBPS: Final = 100.0
RECORDED_GBPS: Final = 25.0


@dataclass(frozen=True)
class DemoRequest:
    """What the command line asked for."""

    port: int = 8050
    duration_s: float = 0.0


def run(request: DemoRequest) -> None:
    """Serve until interrupted. Raises ConfigError without captures, or where another demo runs."""
    folder = _find_folder()
    with _alone(folder):
        _fill_folder(folder)
        _serve(request, folder)


def _serve(request: DemoRequest, folder: Path) -> None:
    from fabricscope.cli.dashboard import DashboardRequest
    from fabricscope.cli.dashboard import run as serve

    _announce_compilation()
    if request.duration_s > 0:
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
        signal.setitimer(signal.ITIMER_REAL, request.duration_s)
    typer.echo(
        "Three collectors fill one store: a simulated fabric, generated RDMA traffic, and recorded "
        "PyTorch jobs. All pages have something to show after about 15 s.",
        err=True,
    )
    with _collectors(str(folder / "store")):
        serve(
            DashboardRequest(
                store=str(folder / "store"),
                topology=FABRIC,
                captures=str(folder / "captures"),
                port=request.port,
            )
        )


def _find_folder() -> Path:
    """Return the demo's own folder, made where it was not."""
    shipped = CHECKOUT / "pcaps"
    if not (shipped / "recorded").is_dir():
        raise ConfigError(
            f"The demo's captures are not at {shipped}: run it in a checkout of the repository "
            "(make run), or use 'fabricscope live' and 'fabricscope dashboard' on a fabric of "
            "your own."
        )
    build = CHECKOUT / "build"
    writable = os.access(build if build.exists() else CHECKOUT, os.W_OK)
    folder = (build if writable else Path()) / "demo"
    with _written(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    """Turn what hinders writing to the demo's folder into a sentence."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"The demo needs a folder it may write to, and {folder} is none: {error.strerror}; "
            "run it from another folder."
        ) from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second demo out of the folder; its lock ends with this process, however it ends."""
    with ExitStack() as stack:
        with _written(folder):
            try:
                stack.enter_context(claim(folder / "lock"))
            except BlockingIOError as error:
                raise ConfigError(
                    f"Another demo runs in {folder}; end it first, or look at the one that runs."
                ) from error
        yield


def _fill_folder(folder: Path) -> None:
    """Empty the store and copy the shipped captures."""
    shipped = CHECKOUT / "pcaps"
    with _written(folder):
        shutil.rmtree(folder / "store", ignore_errors=True)
        (folder / "captures").mkdir(exist_ok=True)
        for capture in (*shipped.glob("*.pcap*"), *(shipped / "recorded").glob("*.pcap.gz")):
            recorded = "recorded-" if capture.parent.name == "recorded" else ""
            shutil.copyfile(capture, folder / "captures" / f"{recorded}{capture.name}")


def _announce_compilation() -> None:
    from fabricscope.pipeline.compilation import kernels_are_compiled

    if not kernels_are_compiled():
        typer.echo(
            "fabricscope: compiling the kernels for this machine, once; the pages fill up a minute "
            "or two later than they do from then on",
            err=True,
        )


@contextmanager
def _collectors(store: str) -> Iterator[None]:
    """Run the collectors beside; they end with this process, however it ends."""
    context = multiprocessing.get_context("spawn")
    works: dict[str, Callable[[str], None]] = {
        "fabric": simulate_fabric,
        "rdma": play_generated,
        "jobs": play_recorded,
    }
    children = [
        context.Process(target=_work, args=(work, store, os.getpid()), name=name, daemon=True)
        for name, work in works.items()
    ]
    for child in children:
        child.start()
    try:
        yield
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.join(5)
            if child.is_alive():  # one that compiles hears of it too late
                child.kill()


def _work(work: Callable[[str], None], store: str, parent: int) -> None:
    """Run one collector in its process; Ctrl-C is the parent's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_without, args=(parent,), daemon=True).start()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.nice(5)
    work(store)


def _end_without(parent: int) -> None:
    """End this process when its parent is gone without having said so."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)


def simulate_fabric(store: str) -> None:
    """Collect from the simulated fabric, whose last two minutes are there at once."""
    import polars as pl

    from fabricscope.pipeline.live.simulated import Episode, SimulatedFabric
    from fabricscope.store import open_store

    story = (
        Episode(5, 15, "leaf2-spine1"),
        Episode(30, 60, "leaf1-spine2", ":loss={share:.3f}e-4", power_db=6.0),
        Episode(75, 90, "host5-leaf1", ":rate=25%"),
    )
    fabric = SimulatedFabric(SIMULATED, "fabric", story, turn_s=HISTORY_S)
    second_ns = 1_000_000_000
    now_ns = time.time_ns() // second_ns * second_ns
    past: dict[str, list[pl.DataFrame]] = {}
    for begin_ns in range(now_ns - HISTORY_S * second_ns, now_ns, second_ns):
        for table, frame in fabric.sample(begin_ns, begin_ns + second_ns).items():
            past.setdefault(table, []).append(frame)
    for table, frames in past.items():
        open_store(store).append(table, pl.concat(frames))
    _watch(store, "fabric", None, {}, fabric)


def play_generated(store: str) -> None:
    """Collect from generated RDMA traffic: healthy, with a slow rank, with loss, congested."""
    from fabricscope.pipeline.live.playlist import PlaylistFeed

    recipes = [
        str(CHECKOUT / "pcaps" / "recipes" / f"demo-{name}.toml")
        for name in ("slow-rank", "loss", "congestion", "healthy")
    ]
    rates = dict.fromkeys(GENERATED.values(), GENERATED_GBPS)
    _let_others_compile(recipes[0])
    with PlaylistFeed(recipes, "leaf3 mirror", seed=time.time_ns() % 100_000) as feed:
        _watch(store, "rdma", feed, {"hosts": GENERATED, "rates": rates}, None)


def _let_others_compile(recipe: str) -> None:
    """On a first run, compile the generator while the collector of jobs compiles the analyzers."""
    from fabricscope.collectors.synthetic import generate
    from fabricscope.pipeline.compilation import kernels_are_compiled

    if kernels_are_compiled():
        return
    with tempfile.TemporaryDirectory() as folder:
        generate(recipe, str(Path(folder) / "first.pcap"))
    deadline_s = time.monotonic() + COMPILATION_S
    while not kernels_are_compiled() and time.monotonic() < deadline_s:
        time.sleep(1)


def play_recorded(store: str) -> None:
    """Collect from the recorded jobs: a slow link, training with checkpoints, a slow rank."""
    from fabricscope.pipeline.live.playlist import PlaylistFeed

    captures = [
        str(CHECKOUT / "pcaps" / "recorded" / f"{name}.pcap.gz")
        for name in ("slow-link", "training", "straggler")
    ]
    rates = dict.fromkeys(RECORDED.values(), RECORDED_GBPS)
    with PlaylistFeed(captures, "leaf4 mirror") as feed:
        _watch(store, "jobs", feed, {"hosts": RECORDED, "rates": rates}, None)


def _watch(store: str, collector: str, feed: Any, names: dict[str, Any], source: Any) -> None:
    """Run a collector as `fabricscope live` does, until the process is ended."""
    from fabricscope.cli.live import run_session
    from fabricscope.config import LiveSettings
    from fabricscope.pipeline.live.feeds import SilentFeed
    from fabricscope.pipeline.live.monitor import Monitor, MonitorOptions
    from fabricscope.pipeline.live.naming import Naming
    from fabricscope.pipeline.live.session import LiveSession
    from fabricscope.store import open_store

    feed = feed or SilentFeed()
    options = MonitorOptions(collector=collector, naming=Naming(**names))
    session = LiveSession(feed, Monitor(options))
    session.sources += [source] if source else []
    settings = LiveSettings.model_validate({"keep": KEEP, "quiet": True})
    with ExitStack() as stack:
        run_session(settings, session, open_store(store, collector), stack, feed.now_ns)
