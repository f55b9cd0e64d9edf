"""Fixtures that every test may ask for; what one area alone needs lives in that area's folder."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from wires import Cable, plugged_in

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer to write what commands print into their golden files instead of comparing it."""
    parser.addoption("--rewrite", action="store_true", help="rewrite golden files")


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the checkout's root."""
    return REPOSITORY


@pytest.fixture(scope="session")
def captures() -> Path:
    """Return the folder of real captures that lie beside the checkout and are not part of it."""
    folder = REPOSITORY.parent / "shared" / "captures"
    if not folder.is_dir():
        pytest.skip("needs the real captures in ../shared/captures, which this machine lacks")
    return folder


@pytest.fixture(scope="session")
def tshark() -> str:
    """Return the path of Wireshark's terminal program, the second opinion on what a packet is."""
    program = shutil.which("tshark")
    if program is None:
        pytest.skip("needs tshark (Debian package tshark), which is not installed")
    return program


@pytest.fixture
def cable() -> Iterator[Cable]:
    """Return a pair of virtual interfaces, for as long as the test runs."""
    with plugged_in() as wire:
        yield wire


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `root` where the rights are missing."""
    if os.geteuid() == 0:
        return
    lacking = pytest.mark.skip(reason="needs administrator rights")
    for item in items:
        if "root" in item.keywords:
            item.add_marker(lacking)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let tests of a browser and tests that make network interfaces wait for one another.

    A browser drops what it is loading when an interface comes or goes.
    """
    if "root" not in item.keywords and "browser" not in item.path.parts:
        return (yield)
    with (Path(tempfile.gettempdir()) / f"fabricscope-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return (yield)
