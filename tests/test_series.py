import polars as pl
import pytest

from fabricscope.series import FOLDS, SERIES, is_folded, key_columns


@pytest.mark.parametrize("table", SERIES)
def test_columns_have_a_fold_in_all_or_in_none(table: str) -> None:
    folds = [column.fold for column in SERIES[table]]
    assert all(fold in FOLDS for fold in folds) or not any(folds)
    assert is_folded(table) == any(folds)
    assert SERIES[table][0].name == "time_ns"
    assert SERIES[table][1].name == "collector"
    for column in SERIES[table]:
        pl.Series([], dtype=eval(column.dtype, vars(pl)))
        assert len(column.help) > 3


def test_keys_tell_subjects_apart() -> None:
    assert key_columns("link_samples") == ["collector", "link", "direction", "source"]
