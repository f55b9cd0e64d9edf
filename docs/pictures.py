"""Makes docs/images: screenshots of the HTML report of a shipped capture, in a headless Chromium.

`make pictures`. Needs a Chromium (Debian package `chromium`); the pictures are committed, so
nobody else does.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from fabricscope.dashboard.report import write_report
from fabricscope.pipeline.analysis import Options, analyze
from fabricscope.pipeline.document import build_document

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
CAPTURES = [f"pcaps/three-taps.leaf{number}.pcap" for number in range(3)]
PICTURES = {"report.png": (1280, 1850)}
"""Name and size in pixels; a page is cut at the bottom."""
LIMIT_BYTES = 300 * 1024


def take(page: Path, picture: Path, width: int, height: int, browser: str) -> None:
    """Write a screenshot of the top of `page`."""
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                browser,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--hide-scrollbars",
                f"--user-data-dir={profile}",
                f"--window-size={width},{height}",
                "--virtual-time-budget=10000",
                f"--screenshot={picture}",
                page.as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )


def main() -> int:
    """Make all pictures; return 1 when one is too large to commit, 2 without a browser."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        print("pictures: chromium is not installed (Debian: apt-get install chromium)")
        return 2
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        os.chdir(ROOT)
        analysis = analyze(CAPTURES, Options(), lambda *_: None)
        write_report(build_document(analysis), str(page))
        for name, (width, height) in PICTURES.items():
            take(page, IMAGES / name, width, height, browser)
    sizes = {name: (IMAGES / name).stat().st_size for name in PICTURES}
    for name, size in sizes.items():
        print(f"docs/images/{name}: {size / 1024:,.0f} KiB")
    return int(max(sizes.values()) > LIMIT_BYTES)


if __name__ == "__main__":
    sys.exit(main())
