"""What makes room in a store that takes more than it may."""

from pathlib import Path

import polars as pl
import pytest
from test_store import SECOND_NS, samples

from fabricscope.errors import StoreError
from fabricscope.schemas import RESOLUTIONS_NS, schema_of
from fabricscope.shrinking import SHARES, rank_of, shrink
from fabricscope.store import DeltaStore


def filled(root: Path, places: dict[str, int]) -> DeltaStore:
    """Return a store with so many samples in each Delta table, from second 0 on."""
    store = DeltaStore(root)
    for place, rows in places.items():
        step = RESOLUTIONS_NS.get(place.partition(".")[2], SECOND_NS) // SECOND_NS
        noise = pl.int_range(rows).hash(7).cast(pl.Int64, strict=False).fill_null(0)
        frame = samples(0, rows, 1).with_columns(pl.col("time_ns") * step, bytes=noise)
        store.write(place, frame.cast(schema_of("tap_samples")))  # type: ignore[arg-type]
    return store


def test_every_resolution_has_a_share() -> None:
    assert len(SHARES) == len(RESOLUTIONS_NS) + 1
    assert sum(SHARES) == pytest.approx(1)
    assert [rank_of(f"link_samples{end}") for end in ("", ".10s", ".1m", ".1h")] == [0, 1, 2, 3]


def test_the_resolution_over_its_share_makes_room(tmp_path: Path) -> None:
    """Folded samples that fill the store do not push the seconds out."""
    store = filled(tmp_path, {"tap_samples": 5_000, "tap_samples.10s": 100_000})
    limit = store.size_bytes() // 2
    shrink(store, limit)
    assert limit / 2 < store.size_bytes() <= limit
    assert store.span("tap_samples") == (0, 4_999 * SECOND_NS)
    coarse = store.span("tap_samples.10s")
    assert coarse is not None
    assert 0 < coarse[0] < coarse[1] == 999_990 * SECOND_NS


def test_alerts_stay(tmp_path: Path) -> None:
    store = filled(tmp_path, {"tap_samples": 20_000})
    schema = schema_of("alerts")
    rows = [{"time_ns": k, "text": f"{k} " * 50} for k in range(2)]
    store.append("alerts", pl.DataFrame(rows, schema=schema))
    shrink(store, store.size_bytes() // 3)
    assert store.query("alerts", 0, 10).height == 2
    assert store.query("tap_samples", 0, 10**18).height < 20_000


def test_a_table_that_fails_keeps_no_other_from_making_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(tmp_path, {"tap_samples": 20_000, "tap_samples.10s": 20_000})
    forget = store.forget

    def refuse(place: str, before_ns: int) -> int:
        if place == "tap_samples":
            raise StoreError(f"{place} cannot be cut")
        return forget(place, before_ns)

    monkeypatch.setattr(store, "forget", refuse)
    with pytest.raises(StoreError, match="tap_samples cannot be cut"):
        shrink(store, store.size_bytes() // 4)
    assert store.query("tap_samples", 0, 10**18).height == 20_000
    span = store.span("tap_samples.10s")
    assert span is not None
    assert span[0] > 0
