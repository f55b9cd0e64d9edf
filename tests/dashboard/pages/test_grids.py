"""Tables: formats by kind, states by colour and shape, cells that are never markup."""

import pytest

from fabricscope.dashboard.pages.grids import grid, quantity, state, text


def test_columns_have_formats_and_filters() -> None:
    assert text("src", "From")["filter"] == "agTextColumnFilter"
    column = quantity("p99", "p99", "duration", minWidth=90)
    assert column["valueFormatter"] == {"function": "fabricscope.duration(params.value)"}
    assert column["minWidth"] == 90
    with pytest.raises(AssertionError):
        quantity("x", "x", "furlongs")


def test_states_are_classes_by_value() -> None:
    rules = state("state", "State", {"bad": ["stalled", "failed"]})["cellClassRules"]
    assert rules == {"health bad": "params.value == 'stalled' || params.value == 'failed'"}


def test_rows_are_told_apart_by_their_id_and_hold_no_markup() -> None:
    table = grid("t", [text("a", "A")], [{"id": "x", "a": "<script>"}], row_id="id")
    assert table.getRowId == "params.data.id"
    assert not getattr(table, "dangerously_allow_code", False)
    assert "cellRenderer" not in table.columnDefs[0]
