"""The documentation names every command, option, key, table column and kind of finding."""

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from fabricscope.analyzers.findings import connections
from fabricscope.cli.app import app
from fabricscope.pipeline.analysis import Options, analyze
from fabricscope.pipeline.document import build_document
from fabricscope.tables import TABLES

CAPTURES = (
    ["three-taps.leaf0.pcap", "three-taps.leaf1.pcap"],
    ["cm-refused.pcap.gz"],
    ["pause.pcap.gz"],
    ["slow-rank.pcap.gz"],
)
"""Each fills other sections of the document."""
COUNTERS = {"protocols", "link_types", "operations", "naks_by_code", "evidence", "detail",
            "transport_evidence", "rank_spans", "expected_mmr"}  # fmt: skip
"""Objects whose keys are names of what is counted, not a fixed set."""

PERCENTILES = ("p50", "p99", "max", "count")


@pytest.fixture(scope="module")
def reference(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "reference_page", repository / "docs/reference.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _sections(page: str, mark: str) -> dict[str, str]:
    """Return the text under each heading of a level by what the heading names in backquotes."""
    parts = re.split(rf"^{mark} (.+)$", page, flags=re.MULTILINE)
    return {
        name: text
        for heading, text in zip(parts[1::2], parts[2::2], strict=True)
        for name in re.findall(r"`([^`]+)`", heading)
    }


def _commands(command: Any, path: str = "fabricscope") -> Iterator[tuple[str, Any]]:
    for name, child in getattr(command, "commands", {}).items():
        if getattr(child, "commands", None):
            yield from _commands(child, f"{path} {name}")
        else:
            yield f"{path} {name}", child


def test_every_command_and_option_is_in_the_guide(repository: Path) -> None:
    sections = _sections((repository / "docs/guide.md").read_text(encoding="utf-8"), "##")
    commands = dict(_commands(typer.main.get_command(app)))
    assert set(sections) == set(commands)
    for path, command in commands.items():
        for parameter in command.params:
            for option in getattr(parameter, "opts", []):
                if option.startswith("-") and option not in ("--help", "-h"):
                    assert f"`{option}" in sections[path], f"{path} {option} is not in the guide"


def test_the_guide_names_no_option_that_is_gone(repository: Path) -> None:
    sections = _sections((repository / "docs/guide.md").read_text(encoding="utf-8"), "##")
    for path, command in _commands(typer.main.get_command(app)):
        known = {option for parameter in command.params for option in parameter.opts}
        for option in re.findall(r"^\| .*?`(--[a-z-]+)", sections[path], re.MULTILINE):
            assert option in known, f"{path} has no {option}"


def test_generated_parts_of_the_reference_are_up_to_date(reference: ModuleType) -> None:
    page = reference.PAGE.read_text(encoding="utf-8")
    assert reference.render(page) == page, "run python docs/reference.py"


def test_every_table_column_is_in_the_reference(repository: Path) -> None:
    page = (repository / "docs/json.md").read_text(encoding="utf-8")
    for name, columns in TABLES.items():
        listed = re.search(rf"^- `{name}` \(\d+ columns\): (.+)$", page, re.MULTILINE)
        assert listed is not None
        assert re.findall(r"`(\w+)`", listed[1]) == [column.name for column in columns]


def _keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield key
            if key not in COUNTERS:
                yield from _keys(child)
    elif isinstance(value, list):
        for child in value:
            yield from _keys(child)


@pytest.mark.parametrize("names", CAPTURES, ids=lambda names: names[0].split(".")[0])
def test_every_key_of_a_document_is_in_its_section(repository: Path, names: list[str]) -> None:
    captures = [str(repository / "pcaps" / name) for name in names]
    document = build_document(analyze(captures, Options(), lambda *_: None))
    page = (repository / "docs/json.md").read_text(encoding="utf-8")
    sections = _sections(page, "##")
    top = re.search(r"^## Top level$(.+?)^## ", page, re.MULTILINE | re.DOTALL)
    assert top is not None
    for name, value in document.items():
        assert f"`{name}`" in top[1], f"{name} is not in the list of top-level keys"
        for key in set(_keys({name: value})) - {name, *PERCENTILES}:
            text = sections.get(name, top[1])
            assert f"`{key}`" in text, f"{name}: {key} is not documented"


def _kinds(repository: Path) -> set[str]:
    """Return the kinds that the analyzers give to `Finding`, read from their sources."""
    kinds = {kind for _, kind, *_ in connections._CM.values()}
    for path in (repository / "analyzers").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and len(node.args) > 2:
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                place = {"Finding": 1, "_make": 2}.get(name)
                if place and isinstance(node.args[place], ast.Constant):
                    kinds.add(str(node.args[place].value))
            if path.name == "connections.py" and isinstance(node, ast.Compare):
                states = node.comparators[0]
                if ast.unparse(node.left) == "row['state']" and isinstance(states, ast.Tuple):
                    kinds |= {
                        "iwarp_" + state.replace(" ", "_") for state in ast.literal_eval(states)
                    }
    return kinds


def test_every_kind_of_finding_has_an_entry_and_no_other(repository: Path) -> None:
    page = (repository / "docs/findings.md").read_text(encoding="utf-8")
    kinds = _kinds(repository)
    assert {"network_loss", "collector_loss", "iwarp_refused", "connection_refused"} <= kinds
    assert set(_sections(page, "###")) == kinds


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "pcaps/README.md", "docs/*.md"])
def test_links_lead_somewhere(repository: Path, page: str) -> None:
    for path in repository.glob(page):
        text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            if "://" not in target:
                assert (path.parent / target).exists(), f"{path.name}: {target} is not there"
