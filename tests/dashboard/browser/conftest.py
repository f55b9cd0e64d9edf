"""A real browser: Debian's Chromium, driven by Playwright, that fails tests on console errors."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
WAIT_MS = 60_000
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Return a browser without window; its event loop must not outlive the module's tests."""
    program = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("needs Chromium (Debian package chromium), which is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Open]:
    """Return what opens an address in a window of its own; errors in its console fail the test."""
    contexts = []
    errors: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        # While a server is restarted its browsers say that they cannot reach it.
        if message.type == "error" and "ERR_CONNECTION_REFUSED" not in message.text:
            errors.append(f"{message.text} ({message.location.get('url')})")

    def open_it(address: str, width: int = 1280, height: int = 800) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": height})
        context.set_default_timeout(WAIT_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", hear)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert not errors, errors


@pytest.fixture(scope="session")
def screenshots(repository: Path) -> Path:
    """Return the folder that screenshots are kept in."""
    folder = repository / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
