"""Files of a table that others write, compact, remove and make again meanwhile."""

import shutil
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from fabricscope import listings
from fabricscope.listings import Listings


def append(path: Path, value: int) -> None:
    write_deltalake(str(path), pl.DataFrame({"time_ns": [value]}), mode="append")


def rows(known: Listings) -> int:
    files = known.files("t")
    return 0 if files is None else int(files["num_records"].sum())


def test_what_others_commit_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def open_table(place: str) -> DeltaTable | None:
        opened.append(place)
        path = tmp_path / place
        return DeltaTable(str(path)) if path.exists() else None

    known = Listings(open_table)
    assert known.files("t") is None
    for value in range(5):
        append(tmp_path / "t", value)
        assert rows(known) == value + 1
    assert len(opened) == 2
    DeltaTable(str(tmp_path / "t")).optimize.compact()
    files = known.files("t")
    assert files is not None
    assert (files.height, rows(known), len(opened)) == (1, 5, 2)
    monkeypatch.setattr(listings, "FOLLOWED_S", 0.0)
    assert (rows(known), len(opened)) == (5, 3)


def test_a_table_that_was_removed_and_made_again_is_opened_anew_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Listings(
        lambda place: DeltaTable(str(tmp_path / place)) if (tmp_path / place).exists() else None
    )
    for value in range(3):
        append(tmp_path / "t", value)
    assert rows(known) == 3
    shutil.rmtree(tmp_path / "t")
    append(tmp_path / "t", 9)
    monkeypatch.setattr(listings, "FOLLOWED_S", 0.0)
    assert rows(known) == 1
