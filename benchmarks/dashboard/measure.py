"""How fast the live site is with 2,000 links: first paint, updates, 20 clients, memory.

A store is fed each second with samples of a leaf-spine fabric, a server of its own process shows
them; `--minutes` is how long memory is watched. Prints a Markdown table.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from clients import Client, browse, find_callbacks

ROOT = Path(__file__).resolve().parents[2]
FABRIC = "leaf-spine:32x16x46@400G"
START_S = 90.0
WARM_S = 20.0
LOOKS = 10
TICKS = "Boolean(window.cy && window.cy.edges().length && window.fabricscopeTimes)"
PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


@contextlib.contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Python program of this checkout until the block ends."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
    process = subprocess.Popen([sys.executable, *command], env=environment)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15)
        process.kill()


def feed(folder: str, seconds: int) -> None:
    """Fill a store with some history, then add to it each second, until killed."""
    from fabric_samples import fill, follow

    from fabricscope.store import DeltaStore
    from fabricscope.topology.builders import build

    store, fabric = DeltaStore(folder), build(FABRIC)
    fill(store, fabric, time.time_ns(), seconds)
    with contextlib.suppress(KeyboardInterrupt):
        for _ in follow(store, fabric):
            pass


def wait_for(address: str) -> None:
    """Return once the site answers."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        with contextlib.suppress(requests.ConnectionError):
            if requests.get(address, timeout=5).ok:
                return
        time.sleep(0.3)
    raise SystemExit(f"{address} did not answer within {START_S:.0f} s")


def read_process(pid: int) -> tuple[float, float]:
    """Return CPU seconds and resident MiB of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    rss = int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    return (int(fields[11]) + int(fields[12])) / ticks, rss


def crowd(address: str, count: int, seconds: float) -> list[Client]:
    """Let `count` clients watch the page Fabric for some seconds."""
    callbacks = find_callbacks(address, "fabric-state")

    async def all_of_them() -> list[Client]:
        until = time.monotonic() + seconds
        return await asyncio.gather(*(browse(address, callbacks, "", until) for _ in range(count)))

    return asyncio.run(all_of_them())


def watch_browser(address: str, minutes: float, server: int) -> dict[str, Any]:
    """Return paints, main-thread time and memory of a real browser, and the server's memory."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        return {}
    found: dict[str, Any] = {"paints": [], "usable": []}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for _ in range(3):
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            begun = time.monotonic()
            page.goto(address)
            _wait(page)
            found["usable"].append(time.monotonic() - begun)
            found["paints"].append(page.evaluate(PAINT) / 1e3)
            page.close()
        for name, query in (("groups", ""), ("every", "?detail=every")):
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(address + "/" + query)
            _wait(page)
            page.wait_for_timeout(WARM_S * 1_000)
            found[name] = _watch_page(page, 30.0)
            if name == "every":
                found["memory"] = _watch_memory(page, minutes, server)
            page.close()
        browser.close()
    return found


def _wait(page: Any) -> None:
    """Return once the map is drawn. The site evaluates no text: asked from outside."""
    until = time.monotonic() + START_S
    while not page.evaluate(TICKS):
        if time.monotonic() > until:
            raise SystemExit(f"the map was not drawn within {START_S:.0f} s")
        page.wait_for_timeout(50)


def _metrics(session: Any) -> dict[str, float]:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return {one["name"]: float(one["value"]) for one in metrics}


def _watch_page(page: Any, seconds: float) -> dict[str, float]:
    """Return main-thread milliseconds a second, and those of painting the map."""
    session = page.context.new_cdp_session(page)
    # Of the thread's own processor time: others on this machine must not count.
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.evaluate("window.fabricscopeTimes.length = 0")
    before = _metrics(session)
    page.wait_for_timeout(seconds * 1_000)
    after = _metrics(session)
    times = page.evaluate("window.fabricscopeTimes")
    lines = page.evaluate("window.cy.edges().length")
    parts = ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration")
    busy = (after["TaskDuration"] - before["TaskDuration"]) / seconds * 1e3
    script = sum(after[name] - before[name] for name in parts) / seconds * 1e3
    return {
        "busy_ms": busy,
        "script_ms": script,
        "map_ms": statistics.median(times or [0.0]),
        "lines": lines,
        "updates": len(times) / seconds,
    }


def _watch_memory(page: Any, minutes: float, server: int) -> list[tuple[float, float, float]]:
    """Return minutes, the page's JavaScript after a collection and the server's memory, MiB."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    looks = []
    for look in range(LOOKS + 1):
        if look:
            page.wait_for_timeout(minutes * 60_000 / LOOKS)
        session.send("HeapProfiler.collectGarbage")
        heap = _metrics(session)["JSHeapUsedSize"] / (1 << 20)
        looks.append((look * minutes / LOOKS, heap, read_process(server)[1]))
    return looks


def print_table(rows: list[tuple[str, str, str]]) -> None:
    """Print what was measured beside what it should be."""
    print("| what | measured | budget |\n|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--feed", nargs=2, metavar=("DIR", "SECONDS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.feed:
        feed(given.feed[0], int(given.feed[1]))
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="dashboard-", dir="/tmp") as folder, \
            running(__file__, "--feed", folder, "120"), \
            running("-m", "fabricscope", "dashboard", "--store", folder, "--topology", FABRIC,
                    "--port", str(port)) as server:  # fmt: skip
        wait_for(address)
        time.sleep(WARM_S)
        quiet, _ = read_process(server.pid)
        one = crowd(address, 1, 20.0)
        cpu, rss = read_process(server.pid)
        one_ms = (cpu - quiet) / max(1, len(one[0].answers_s)) * 1e3
        begun = time.monotonic()
        many = crowd(address, given.clients, given.seconds)
        later, _ = read_process(server.pid)
        share = (later - cpu) / (time.monotonic() - begun)
        crowded_rss = read_process(server.pid)[1]
        seen = watch_browser(address, given.minutes, server.pid)
    print_table(_rows(one, one_ms, many, share, (rss, crowded_rss), seen, given))
    if seen:
        print("\n| minutes | browser's heap, MiB | server's memory, MiB |\n|---:|---:|---:|")
        for minutes, heap, memory in seen["memory"]:
            print(f"| {minutes:.0f} | {heap:.1f} | {memory:.0f} |")


def _rows(
    one: list[Client],
    one_ms: float,
    many: list[Client],
    share: float,
    rss: tuple[float, float],
    seen: dict[str, Any],
    given: argparse.Namespace,
) -> list[tuple[str, str, str]]:
    answers = sorted(value for client in many for value in client.answers_s)
    middle, late = (answers[int(len(answers) * part)] * 1e3 for part in (0.5, 0.95))
    ticks = min(client.ticks for client in many) / given.seconds
    alone = statistics.median(one[0].answers_s) * 1e3
    rows = [
        ("update of Fabric, 1,984 links, one client: server's processor time, the tick included",
         f"{one_ms:.0f} ms", "150 ms"),
        ("the same, request to answer", f"{alone:.0f} ms", ""),
        (f"the same, {given.clients} clients at 1 Hz, median and p95",
         f"{middle:.0f} and {late:.0f} ms",
         ""),
        ("ticks a second of the client with fewest", f"{ticks:.2f}", "1"),
        (f"CPU of the server with {given.clients} clients", f"{share:.2f} cores", "2"),
        ("answers with errors", f"{sum(client.errors for client in many)}", "0"),
        (f"server's memory, after one client and after {given.clients}",
         f"{rss[0]:.0f} and {rss[1]:.0f} MiB", ""),
    ]  # fmt: skip
    if not seen:
        return [*rows, ("browser", "Chromium is not installed", "")]
    return [
        ("first paint", f"{statistics.median(seen['paints']):.2f} s", "2 s"),
        ("map drawn with its links", f"{statistics.median(seen['usable']):.2f} s", ""),
        *rows,
        *(
            (f"main thread at 1 Hz, {name} ({seen[key]['lines']} lines): all its processor time, "
             "scripts, layout and styles, the map",
             f"{seen[key]['busy_ms']:.0f}, {seen[key]['script_ms']:.0f} and "
             f"{seen[key]['map_ms']:.1f} ms a second", "50 ms")
            for name, key in (("groups", "groups"), ("every switch", "every"))
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
