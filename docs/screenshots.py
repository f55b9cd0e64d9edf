"""Makes pictures of the live site's pages over the demo's system: `make screenshots`.

Every page, or those named, at 1280x800 and 2560x1440, light and dark, goes to build/screenshots;
those that README and documentation show go to docs/images. Needs a Chromium (Debian package
`chromium`).
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from fabricscope.dashboard.pages.registry import PAGES

ROOT = Path(__file__).resolve().parents[1]
SHOTS = ROOT / "build" / "screenshots"
IMAGES = ROOT / "docs" / "images"
SIZES = ((1280, 800), (2560, 1440))
START_S = 240.0
SETTLE_S = 45.0
"""Until jobs have had some iterations and something has failed."""
SHOWN = {"fabric": "site-fabric.png", "training": "site-training.png"}


def main() -> int:
    """Take all pictures; return 2 without a browser, 1 when the site does not come up."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        print("screenshots: chromium is not installed (Debian: apt-get install chromium)")
        return 2
    SHOTS.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "fabricscope", "demo", "--port", str(port)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    demo = subprocess.Popen(command, env=environment, cwd=ROOT)
    try:
        if not wait_for(f"http://127.0.0.1:{port}"):
            return 1
        time.sleep(SETTLE_S)
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            window = chromium.new_page()
            wanted = sys.argv[1:] or [one.name for one in PAGES]
            for one in (page for page in PAGES if page.name in wanted):
                take(window, f"http://127.0.0.1:{port}{one.path}", one.name)
            chromium.close()
    finally:
        demo.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            demo.wait(20)
        demo.kill()
    return 0


def wait_for(address: str) -> bool:
    """Return whether the site answers in time."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return True
        time.sleep(0.5)
    print(f"screenshots: {address} did not answer within {START_S:.0f} s")
    return False


def take(page: Page, address: str, name: str) -> None:
    """Take the pictures of one page."""
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(address)
    page.wait_for_selector("#stale.live", timeout=60_000)
    page.locator("main .panel:visible").first.wait_for(timeout=60_000)
    page.wait_for_timeout(6_000)
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(1_500)
        for theme in ("light", "dark"):
            page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
            page.screenshot(path=SHOTS / f"{name}-{width}-{theme}.png")
    if name in SHOWN:
        shutil.copyfile(SHOTS / f"{name}-1280-light.png", IMAGES / SHOWN[name])
    print(f"{name}: {SHOTS}")


if __name__ == "__main__":
    sys.exit(main())
