import polars as pl
import pytest

from fabricscope.tables import TABLES


@pytest.mark.parametrize("table", TABLES)
def test_columns_have_names_of_their_own_and_a_meaning(table: str) -> None:
    columns = TABLES[table]
    names = [column.name for column in columns]
    assert len(names) == len(set(names))
    for column in columns:
        assert column.name.isidentifier()
        assert column.name == column.name.lower()
        assert len(column.help) > 3, column.name


@pytest.mark.parametrize("table", TABLES)
def test_dtypes_are_names_that_polars_knows(table: str) -> None:
    for column in TABLES[table]:
        dtype = eval(column.dtype, {name: getattr(pl, name) for name in dir(pl)})
        pl.Series([], dtype=dtype)
