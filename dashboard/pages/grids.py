"""Tables of the site: columns with units, rows that keep their place while they are renewed.

Every cell is text, whatever came from packets; formats are functions of `assets/grid.js`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dash_ag_grid import AgGrid

__all__ = ["grid", "quantity", "state", "text"]

_FORMATS: Final = ("count", "bytes", "rate", "duration", "moment", "share", "time")
_ROW_PX: Final = 30


def text(field: str, title: str, **more: Any) -> dict[str, Any]:
    """Return a column of texts, with a filter by what they contain."""
    return {
        "field": field, "headerName": title, "filter": "agTextColumnFilter",
        "tooltipField": field, **more,
    }  # fmt: skip


def quantity(field: str, title: str, kind: str, **more: Any) -> dict[str, Any]:
    """Return a column of numbers.

    kind: count; bytes; rate (of Gb/s); duration and moment (of us); share (0 to 1); time (ns since
    the epoch).
    """
    assert kind in _FORMATS, kind
    return {
        "field": field, "headerName": title, "type": "rightAligned",
        "filter": "agNumberColumnFilter", "cellClass": "number ag-right-aligned-cell",
        "valueFormatter": {"function": f"fabricscope.{kind}(params.value)"}, **more,
    }  # fmt: skip


def state(
    field: str, title: str, levels: Mapping[str, Sequence[str]], **more: Any
) -> dict[str, Any]:
    """Return a column of states, told by colour and shape. levels: values by health."""
    rules = {
        f"health {level}": " || ".join(f"params.value == '{value}'" for value in values)
        for level, values in levels.items()
    }
    return text(field, title, cellClassRules=rules, **more)


def grid(
    grid_id: Any,
    columns: Sequence[dict[str, Any]],
    rows: Sequence[dict[str, Any]] = (),
    *,
    height_px: int = 360,
    row_id: str = "",
    without: str = "Nothing in this time range.",
    **options: Any,
) -> AgGrid:
    """Return a table.

    row_id: field that tells rows apart, so that renewing keeps the choice; without: what to say
    where there are no rows.
    """
    given = {"getRowId": f"params.data.{row_id}"} if row_id else {}
    return AgGrid(
        id=grid_id,
        columnDefs=list(columns),
        rowData=list(rows),
        defaultColDef={"resizable": True, "sortable": True, "minWidth": 88, "flex": 1,
                       "wrapHeaderText": True, "autoHeaderHeight": True},
        dashGridOptions={
            "rowHeight": _ROW_PX, "headerHeight": _ROW_PX + 4, "animateRows": False,
            "localeText": {"noRowsToShow": without},
            "tooltipShowDelay": 400, "enableCellTextSelection": True,
            "rowSelection": {"mode": "singleRow", "checkboxes": False,
                             "enableClickSelection": True},
            **options,
        },
        style={"height": f"{height_px}px"},
        className="grid",
        **given,
    )  # fmt: skip
