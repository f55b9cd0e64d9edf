"""Compiled signatures kept between runs."""

import os
from pathlib import Path

import numpy as np
import pytest

from fabricscope.analyzers.dpi.compiler import compile_signatures
from fabricscope.analyzers.dpi.signatures import parse_signatures
from fabricscope.analyzers.dpi.tables import CompiledSignatures
from fabricscope.pipeline import signature_cache
from fabricscope.pipeline.signature_cache import cache_key, read_cache, write_cache
from fabricscope.pipeline.signatures import _compiled, load_signatures

TEXT = """[[protocol]]
name = "house_protocol"
tcp_ports = [7, 9]
[[protocol.match]]
transport = ["tcp", "udp"]
payload = ['@0 text "HOUSE"']
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    _compiled.cache_clear()
    return tmp_path / "fabricscope"


def compiled() -> CompiledSignatures:
    return compile_signatures(parse_signatures(TEXT, "house.toml"))


def arrays(signatures: CompiledSignatures) -> list[np.ndarray]:
    return [*signatures.tables.conditions, *signatures.tables[1:]]


def test_what_was_kept_is_what_was_compiled() -> None:
    key = cache_key([("house.toml", TEXT)])
    assert read_cache(key) is None
    write_cache(key, compiled())
    kept = read_cache(key)
    assert kept is not None
    assert kept.names == ("house_protocol",)
    assert kept.ports(1, 0).tolist() == [7, 9]
    for one, other in zip(arrays(kept), arrays(compiled()), strict=True):
        assert one.dtype == other.dtype
        # Another writability would be another type to the kernels, and compile them again.
        assert one.flags.writeable
        assert other.flags.writeable
        np.testing.assert_array_equal(one, other)


def test_the_second_load_reads_no_signature_file(monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_signatures()
    _compiled.cache_clear()
    monkeypatch.setattr("fabricscope.pipeline.signatures._parse", pytest.fail)
    assert load_signatures().names == first.names


def test_any_change_is_another_key() -> None:
    keys = {
        cache_key(files)
        for files in (
            [("a", TEXT)],
            [("a", TEXT + " ")],
            [("a", TEXT), ("b", TEXT)],
            [("a", TEXT[:50]), ("b", TEXT[50:])],
        )
    }
    assert len(keys) == 4
    assert cache_key([("a", TEXT)]) == cache_key([("elsewhere", TEXT)])


def test_another_compiler_is_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache_key([("a", TEXT)])
    monkeypatch.setattr(signature_cache, "_COMPILER_SOURCES", ("checks.py",))
    assert cache_key([("a", TEXT)]) != before


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "foreign", "other key"])
def test_damaged_files_are_not_used(folder: Path, damage: str) -> None:
    key = cache_key([("house.toml", TEXT)])
    write_cache(key, compiled())
    (path,) = folder.iterdir()
    data = path.read_bytes()
    if damage == "other key":
        write_cache("0" * 64, compiled())
        data = next(folder.glob("*-000*")).read_bytes()
    middle = len(data) // 2
    path.write_bytes(
        {
            "cut": data[:middle],
            "empty": b"",
            "flipped": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
            "foreign": b"PK\x03\x04 nothing",
            "other key": data,
        }[damage]
    )
    assert read_cache(key) is None


def test_files_that_others_can_write_are_not_used(folder: Path) -> None:
    key = cache_key([("house.toml", TEXT)])
    write_cache(key, compiled())
    (path,) = folder.iterdir()
    path.chmod(0o666)
    assert read_cache(key) is None


def test_only_the_latest_are_kept(folder: Path) -> None:
    for number in range(12):
        write_cache(f"{number:064d}"[::-1], compiled())
        newest = max(folder.iterdir(), key=lambda one: one.stat().st_mtime_ns)
        os.utime(newest, (number, number))
    assert len(list(folder.iterdir())) == signature_cache.MAX_CACHED_FILES
    assert read_cache(f"{11:064d}"[::-1]) is not None
    assert read_cache(f"{0:064d}"[::-1]) is None


def test_a_folder_that_cannot_be_made_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert load_signatures().index("tls") > 0
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError))
    _compiled.cache_clear()
    assert load_signatures().index("tls") > 0
