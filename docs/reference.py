"""Writes the generated parts of docs/json.md: columns, units and meanings from fabricscope.tables.

`python docs/reference.py`, after a change of a table. A test fails when this would change anything.
"""

import re
import sys
from pathlib import Path

from fabricscope.analyzers.policy.metrics import RULE_TABLES, metrics_of, texts_of
from fabricscope.pipeline.sections import _DIRECTION, _QUANTILES
from fabricscope.tables import TABLES, Column

PAGE = Path(__file__).resolve().parent / "json.md"
_RENAMED = {
    "goodput": "goodput_gbps",
    "behaviour_confidence": "confidence",
}
_SINCE_START = {
    "start_ns": ("start_s", "s", "time of the first packet, since the capture's first"),
    "end_ns": ("duration_s", "s", "first to last packet"),
}
_INTERNAL = ("id", "slot")
_PERCENTILES = "p50", "p99", "max", "count"


def rows_of(table: str) -> list[tuple[str, str, str]]:
    """Return key, unit and meaning of each entry of a section of the document."""
    rows = []
    for column in TABLES[table]:
        name = column.name
        prefix, _, part = name.rpartition("_")
        if name in _INTERNAL or name.startswith("b_to_a_"):
            continue
        if name in _SINCE_START:
            rows.append(_SINCE_START[name])
        elif prefix in _QUANTILES and part in _PERCENTILES:
            if part == "p50":
                meaning = f"{column.help.removeprefix('median ')}: p50, p99, max, count"
                rows.append((_QUANTILES[prefix], column.unit, meaning))
        elif not name.startswith("a_to_b_"):
            rows.append((_RENAMED.get(name, name), column.unit, column.help))
    return rows


def direction_rows() -> list[tuple[str, str, str]]:
    """Return key, unit and meaning of the entries of `a_to_b` and `b_to_a`."""
    return [
        (_DIRECTION[column.name.removeprefix("a_to_b_")], column.unit,
         column.help.replace("from a to b", "this way"))
        for column in TABLES["flows"]
        if column.name.startswith("a_to_b_")
    ]  # fmt: skip


def parts() -> dict[str, str]:
    """Return the text of each generated part by its name."""
    built = {name: _table(rows_of(name)) for name in ("flows", "queue_pairs", "findings")}
    built["directions"] = _table(direction_rows())
    built["tables"] = "\n".join(_columns(name, columns) for name, columns in TABLES.items())
    built["rules"] = "".join(
        f"- `{table}`: texts {_names(texts_of(table))}; numbers {_names(list(metrics_of(table)))}\n"
        for table in RULE_TABLES
    )
    return built


def render(page: str) -> str:
    """Return the page with every generated part made anew."""
    for name, text in parts().items():
        begin, end = f"<!-- {name}: generated -->\n", f"<!-- {name}: end -->"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise SystemExit(f"{PAGE} needs the marks of the part {name} once each.")
        page = re.sub(
            f"{re.escape(begin)}.*?{re.escape(end)}",
            lambda _, text=text, begin=begin, end=end: f"{begin}\n{text}\n{end}",  # type: ignore[misc]
            page,
            flags=re.DOTALL,
        )
    return page


def _table(rows: list[tuple[str, str, str]]) -> str:
    lines = ["| key | unit | meaning |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| `{key}` | {unit} | {help} |" for key, unit, help in rows)])


def _columns(name: str, columns: tuple[Column, ...]) -> str:
    listed = ", ".join(f"`{column.name}`" for column in columns)
    return f"- `{name}` ({len(columns)} columns): {listed}"


def _names(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def main() -> int:
    """Rewrite the page."""
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
