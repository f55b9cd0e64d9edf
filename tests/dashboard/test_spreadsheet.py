"""CSV that no spreadsheet takes for formulas."""

import csv
import io

import polars as pl
import pytest

from fabricscope.dashboard.spreadsheet import write_csv


@pytest.mark.parametrize(
    "text", ['=HYPERLINK("http://x")', "+1", "-1+2", "@SUM(A1)", " =1", "\t=1"]
)
def test_a_formula_is_text(text: str) -> None:
    rows = list(csv.reader(io.StringIO(write_csv(pl.DataFrame({"name": [text], "n": [-3]})))))
    assert rows == [["name", "n"], [f"'{text}", "-3"]]


def test_other_texts_numbers_and_lists_stay() -> None:
    frame = pl.DataFrame({"a": ["x,y", None], "b": [[1, 2], []]})
    assert write_csv(frame) == 'a,b\n"x,y",1 2\n,""\n'
    assert write_csv(pl.DataFrame({"n": [1]})) == "n\n1\n"
