"""Captures that may be opened: listed ones alone; uploads bounded and with harmless names."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fabricscope.dashboard import shelf as module
from fabricscope.dashboard.shelf import Capture, Shelf
from fabricscope.errors import ConfigError


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def upload(shelf: Shelf, name: str, *parts: bytes) -> Capture:
    return asyncio.run(shelf.receive(name, chunks(*parts)))


def test_only_captures_of_the_folder_are_listed(tmp_path: Path) -> None:
    folder = tmp_path / "captures"
    (folder / "deep").mkdir(parents=True)
    for name in ("b.pcap", "deep/a.pcapng.gz", "notes.txt", "deep/c.PCAP"):
        (folder / name).write_bytes(b"x")
    (tmp_path / "secret.pcap").write_bytes(b"x")
    (folder / "link.pcap").symlink_to(tmp_path / "secret.pcap")
    shelf = Shelf(folder, 100)
    assert [one.id for one in shelf.captures()] == ["b.pcap", "deep/a.pcapng.gz", "deep/c.PCAP"]
    (folder / "way").symlink_to(folder / "deep")
    for wrong in (
        "../secret.pcap", "/etc/passwd", "link.pcap", "notes.txt", "", "deep", "deep//c.PCAP",
        "deep/../b.pcap", "./b.pcap", "way/c.PCAP", "b.pcap\0", "x" * 5_000 + ".pcap",
        str(folder / "b.pcap"), "upload/000001/b.pcap",
    ):  # fmt: skip
        assert shelf.find(wrong) is None, wrong
    found = shelf.find("deep/c.PCAP")
    assert found is not None
    assert found.path == folder / "deep/c.PCAP"


@pytest.mark.parametrize(
    ("name", "kept"),
    [("run 1.pcap", "run_1.pcap"), ("../../etc/passwd", "passwd"), ("C:\\x\\y.pcap", "y.pcap"),
     ("<script>.pcap", "_script_.pcap"), (".hidden", "hidden"), ("...", "upload"), ("", "upload")],
)  # fmt: skip
def test_an_upload_gets_a_harmless_name(tmp_path: Path, name: str, kept: str) -> None:
    shelf = Shelf(None, 100)
    found = upload(shelf, name, b"ab", b"cd")
    assert found.path.name == kept
    assert found.path.read_bytes() == b"abcd"
    assert found.uploaded
    assert shelf.find(found.id) == found
    shelf.close()
    assert shelf.captures() == []


def test_a_capture_is_found_without_looking_at_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one/two/three/four/five").mkdir(parents=True)
    for name in ("b.pcap", "one/two/three/four/c.pcap", "one/two/three/four/five/d.pcap"):
        (tmp_path / name).write_bytes(b"x")
    shelf = Shelf(tmp_path, 100)
    listed = shelf.captures()
    assert [one.id for one in listed] == ["b.pcap", "one/two/three/four/c.pcap"]
    monkeypatch.setattr(shelf, "captures", None)
    assert [shelf.find(one.id) for one in listed] == listed
    assert shelf.find("one/two/three/four/five/d.pcap") is None
    sent = upload(shelf, "e.pcap", b"x")
    assert shelf.find(sent.id) == sent
    part = sent.path.with_name("f.pcap.part")
    part.write_bytes(b"x")
    assert shelf.find(f"upload/{part.parent.name}/{part.name}") is None
    shelf.close()
    assert shelf.find(sent.id) is None
    assert not sent.path.exists()


def test_too_large_and_empty_uploads_leave_nothing_behind() -> None:
    shelf = Shelf(None, 3)
    with pytest.raises(ConfigError, match="larger than"):
        upload(shelf, "a.pcap", b"ab", b"cd")
    with pytest.raises(ConfigError, match="empty"):
        upload(shelf, "a.pcap")
    assert shelf.captures() == []
    shelf.close()


def test_old_uploads_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UPLOADS_KEPT", 2)
    shelf = Shelf(None, 100)
    names = [upload(shelf, f"{number}.pcap", b"x").name for number in range(4)]
    assert [one.name for one in shelf.captures()] == [names[3], names[2]]
    shelf.close()
