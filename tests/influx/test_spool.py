"""What waits for a database on disk: in order, bounded, and safe from death and full disks."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fabricscope.errors import StoreError
from fabricscope.influx.spool import Spool

Opener = Callable[..., Spool]


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Return what opens a spool; all are closed in the end."""
    spools: list[Spool] = []

    def open_one(root: Path, max_bytes: int = 1 << 30) -> Spool:
        spools.append(Spool(root, max_bytes))
        spools[-1].open()
        return spools[-1]

    yield open_one
    for spool in spools:
        spool.close()


def drained(spool: Spool, limit: int) -> list[str]:
    found = []
    while (batch := spool.take(limit)) is not None:
        assert 0 < len(batch.lines) <= limit
        found += batch.lines
        spool.done(batch)
    return found


def test_what_waits_comes_out_in_order(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fabricscope.influx.spool.SEGMENT_BYTES", 100)
    spool = opened(tmp_path)
    lines = [f"line {number} é" for number in range(200)]
    for start in range(0, 200, 8):
        spool.add(lines[start : start + 8])
    assert spool.waiting == 200
    assert drained(spool, 3) == lines
    assert spool.waiting == 0
    assert list(tmp_path.glob("*.lines")) == []
    spool.add(["later"])
    assert drained(spool, 3) == ["later"]


@pytest.mark.parametrize("taken", [0, 3, 12, 13])
def test_what_waits_survives_the_process(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    """Without closing, and with a last line that was cut off."""
    monkeypatch.setattr("fabricscope.influx.spool.SEGMENT_BYTES", 60)
    spool = opened(tmp_path)
    lines = [f"line {number}" for number in range(30)]
    for start in range(0, 30, 6):
        spool.add(lines[start : start + 6])
    for _ in range(taken):
        batch = spool.take(1)
        assert batch is not None
        spool.done(batch)
    spool.close()
    with max(tmp_path.glob("*.lines")).open("a") as file:
        file.write("line 99 is not whol")
    spool = opened(tmp_path)
    assert spool.waiting == 30 - taken
    spool.add(["new"])
    assert drained(spool, 4) == [*lines[taken:], "new"]


def test_a_position_that_makes_no_sense_sends_all_again(opened: Opener, tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.add(["one", "two"])
    spool.close()
    for text in ("", "00000001.lines", "00000001.lines 2 bytes", "00000001.lines 900 bytes", "x"):
        (tmp_path / "position").write_text(text)
        again = opened(tmp_path)
        assert again.take(9).lines == ["one", "two"]  # type: ignore[union-attr]
        again.close()


def test_beyond_its_bound_the_oldest_are_given_up_and_counted(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fabricscope.influx.spool.SEGMENT_BYTES", 100)
    spool = opened(tmp_path, max_bytes=500)
    lines = [f"line {number:04d}" for number in range(300)]
    spool.add(lines[:10])
    first = spool.take(4)
    assert first is not None
    for line in lines[10:]:
        spool.add([line])
    assert sum(path.stat().st_size for path in tmp_path.glob("*.lines")) <= 500
    spool.done(first)  # was under way while the bound gave it up
    left = drained(spool, 50)
    assert left == lines[-len(left) :]
    assert spool.dropped == 300 - 4 - len(left)
    assert spool.waiting == 0


def test_a_spool_belongs_to_one_process(opened: Opener, tmp_path: Path) -> None:
    spool = opened(tmp_path)
    with pytest.raises(StoreError, match="is the spool of another running process; give this one"):
        opened(tmp_path)
    spool.close()
    opened(tmp_path).close()


def test_a_spool_that_cannot_be_written_is_named(opened: Opener, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot be spooled in .*name a folder"):
        opened(tmp_path / "file" / "spool")


def test_a_full_disk_takes_nothing_in_part(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = opened(tmp_path)
    spool.add(["one"])
    with monkeypatch.context() as patch:

        def refuse(number: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patch.setattr(os, "fsync", refuse)
        with pytest.raises(StoreError, match="No space left on device"):
            spool.add(["two", "three"])
    assert spool.waiting == 1
    spool.add(["two"])
    assert drained(spool, 9) == ["one", "two"]


def test_what_was_sent_is_gone_though_the_disk_is_full(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be written, but files can be deleted: that is how there is room again."""
    monkeypatch.setattr("fabricscope.influx.spool.SEGMENT_BYTES", 60)
    spool = opened(tmp_path, max_bytes=200)
    lines = [f"line {number}" for number in range(30)]
    for start in range(0, 18, 6):
        spool.add(lines[start : start + 6])

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", refuse)
        found = drained(spool, 4)
        assert found == lines[:18]
        assert (spool.waiting, spool.dropped) == (0, 0)
        assert list(tmp_path.glob("*.lines")) == []
        for line in lines[18:]:
            spool.add([line] * 5)
    assert spool.dropped > 0
    spool.close()
    spool = opened(tmp_path)
    assert drained(spool, 4)[-5:] == [lines[-1]] * 5


def test_what_a_full_disk_left_in_part_is_never_sent(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes a part, and refuses even to cut it off again."""
    spool = opened(tmp_path)
    spool.add(["one"])

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        patch.setattr(os, "truncate", refuse)
        with pytest.raises(StoreError, match="Input/output error"):
            spool.add(["two", "three"])
    batch = spool.take(9)
    assert batch is not None
    assert batch.lines == ["one"]
    spool.done(batch)
    spool.add(["two"])
    assert drained(spool, 9) == ["two"]


def test_a_segment_that_is_done_with_brings_no_empty_batch(opened: Opener, tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.add(["one"])
    spool.close()
    (tmp_path / "position").write_text("00000001.lines 4 bytes done\n")
    (tmp_path / "00000002.lines").write_text("two\n")
    again = opened(tmp_path)
    assert again.waiting == 1
    assert drained(again, 9) == ["two"]


KILLED = """
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from fabricscope.influx.spool import Spool
spool = Spool(Path(sys.argv[1]), 1 << 30)
spool.open()
number = 0
while True:
    spool.add([f"line {number + k}" for k in range(7)])
    number += 7
    print(number, flush=True)
"""


def test_a_kill_loses_nothing_that_was_said_to_be_kept(
    opened: Opener, tmp_path: Path, repository: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(repository / "src")}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) > 300:
                writer.kill()
                break
        said = [int(line), *map(int, writer.stdout.read().split())][-1]
    spool = opened(tmp_path)
    found = drained(spool, 100)
    assert found == [f"line {number}" for number in range(len(found))]
    assert len(found) >= said
