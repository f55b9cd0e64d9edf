"""What `live` and `replay` say and do when something is in their way."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from wires import Cable

from fabricscope.store import DeltaStore

NOBODY = 65_534


def start(repository: Path, *arguments: str, **settings: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fabricscope", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(repository / "src")},
        **settings,  # type: ignore[call-overload]
    )


@pytest.mark.root
def test_without_rights_it_says_which_are_needed(repository: Path, cable: Cable) -> None:
    try:
        running = start(repository, "live", "--interface", cable.near, user=NOBODY, group=NOBODY)
    except PermissionError:
        pytest.skip("needs an interpreter that everybody may start")
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 2
    assert "needs root or the capability CAP_NET_RAW; start with sudo" in errors
    assert len(errors.strip().splitlines()) == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a file system of 3 MB."""
    if os.geteuid() != 0:
        pytest.skip("making a file system needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)])
    if made.returncode:
        pytest.skip("this machine lets nobody mount a file system")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.root
@pytest.mark.slow
def test_a_full_disk_is_told_and_the_capture_goes_on(repository: Path, small_disk: Path) -> None:
    """Rows wait, packets are analyzed, and the summary says what is the matter."""
    (small_disk / "other").write_bytes(bytes(3_100_000))
    capture = str(repository / "pcaps" / "slow-link.pcap")
    store = small_disk / "store"
    running = start(
        repository, "replay", capture, "--loops", "150", "--speed", "1", "--store", str(store),
        "--duration", "30",
    )  # fmt: skip
    out, errors = running.communicate(timeout=180)
    assert running.returncode == 0, errors
    said = " ".join(out.split())
    analyzed = int(re.findall(r"([\d,]+) packets analyzed", said)[-1].replace(",", ""))
    assert analyzed > 50 * 998
    # Lines are wrapped wherever they end, within a path too.
    assert f"thediskofstore{store}isfull" in "".join(out.split())
    assert "free some space, or give --max-size" in said


@pytest.mark.slow
def test_two_collectors_write_to_one_store_side_by_side(repository: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    names = ("leaf1", "leaf2")
    capture = str(repository / "pcaps" / "slow-link.pcap")
    running = [
        start(
            repository, "replay", capture, "--loops", "20", "--speed", "0", "--store", str(store),
            "--collector", name, "--quiet",
        )
        for name in names
    ]  # fmt: skip
    for one in running:
        _, errors = one.communicate(timeout=180)
        assert one.returncode == 0, errors
    kept = DeltaStore(store)
    taps = kept.query("tap_samples", 0, 1 << 62).group_by("collector").agg(pl.col("packets").sum())
    assert dict(taps.iter_rows()) == dict.fromkeys(names, 20 * 998)
    iterations = kept.query("iterations", 0, 1 << 62)
    assert set(iterations["collector"]) == set(names)
    folded = kept.query("link_samples", 0, 1 << 62, max_points=10)
    assert set(folded["collector"]) == set(names)
