"""docs/recovery.md has every scheme, parameter and rate as the program has them."""

import importlib.util
from pathlib import Path

from fabricscope.topology.recovery.registry import SCHEMES


def test_generated_parts_are_up_to_date(repository: Path) -> None:
    spec = importlib.util.spec_from_file_location("tables", repository / "docs/recovery_tables.py")
    assert spec is not None
    assert spec.loader is not None
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    page = tables.PAGE.read_text(encoding="utf-8")
    rendered = "\n".join(line.rstrip() for line in tables.render(page).split("\n"))
    assert rendered == page, "run python docs/recovery_tables.py"
    assert all(f"`{name}`" in page for name in SCHEMES)
