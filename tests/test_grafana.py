"""The Grafana dashboard asks for measurements, tags and fields that exist, and gets answers."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from servers import InfluxServer

from fabricscope.influx.points import field_columns, tag_columns
from fabricscope.schemas import declared, schema_of
from fabricscope.store import open_store


@pytest.fixture(scope="module")
def dashboard(repository: Path) -> dict[str, Any]:
    path = repository / "docs/grafana/fabricscope.json"
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def queries(dashboard: dict[str, Any]) -> Iterator[str]:
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield target["query"]
    for one in dashboard["annotations"]["list"]:
        yield one["query"]
    for one in dashboard["templating"]["list"]:
        if one["type"] == "query":
            yield one["query"]


def test_every_name_in_a_query_exists(dashboard: dict[str, Any]) -> None:
    tables = set()
    for query in queries(dashboard):
        (table,) = re.findall(r'FROM "(\w+)"', query)
        assert table in declared(), query
        tables.add(table)
        aggregated = re.findall(r'\b(?:mean|max|min|sum|last)\("(\w+)"\)', query)
        assert set(aggregated) <= set(field_columns(table)), query
        grouped = re.findall(r'"(\w+)"', query.partition("GROUP BY")[2])
        assert set(grouped) <= set(tag_columns(table)), query
        names = set(re.findall(r'"(\w+)"', query)) - {table}
        assert names <= set(schema_of(table)), query
    assert tables == {"tap_samples", "link_samples", "rdma_samples", "iterations", "alerts"}


def test_aliases_use_the_tags_of_their_query(dashboard: dict[str, Any]) -> None:
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            grouped = re.findall(r'"(\w+)"', target["query"].partition("GROUP BY")[2])
            assert set(re.findall(r"\$tag_(\w+)", target.get("alias", ""))) == set(grouped)


def test_panels_neither_overlap_nor_share_a_number(dashboard: dict[str, Any]) -> None:
    cells = []
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells += [
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
    assert len(cells) == len(set(cells))
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(numbers) == len(set(numbers))


def one_row(table: str) -> pl.DataFrame:
    schema = schema_of(table)
    row = {
        name: ["x"] if isinstance(dtype, pl.List) else "firing" if dtype == pl.String() else 1
        for name, dtype in schema.items()
    }
    return pl.DataFrame([row], schema=schema, strict=False)


@pytest.mark.server
def test_a_server_answers_every_query(dashboard: dict[str, Any], tmp_path: Path) -> None:
    server = InfluxServer(tmp_path / "server")
    server.start()
    server.prepare()
    try:
        with open_store(server.store(tmp_path / "spool")) as store:
            for table in ("tap_samples", "link_samples", "rdma_samples", "iterations", "alerts"):
                store.append(table, one_row(table))
        for query in queries(dashboard):
            for variable, value in (
                ("$timeFilter", "time >= 0 AND time < 1000"),
                ("$__interval", "10s"),
                ("$collector", "(firing|other)"),
                ("$link", "(firing|other)"),
            ):
                query = query.replace(variable, value)
            (series,) = server.ask(query)
            assert len(series["values"]) == 1, query
            assert None not in series["values"][0], query
    finally:
        server.stop()
