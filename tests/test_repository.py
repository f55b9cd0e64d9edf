"""Rules of the repository itself: pins, links, versions, and what kernels may import."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import fabricscope

LINKED = ("analyzers", "collectors", "dashboard", "topology")
KERNELS_MAY_IMPORT = {"fabricscope", "numba", "numpy"} | sys.stdlib_module_names
PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([0-9][0-9A-Za-z.]*)")
BOUND = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?>=([0-9.]+)")


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, Any]:
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pins(repository: Path) -> dict[str, str]:
    """Return version by normalised name; a line that is no plain pin fails."""
    found = {}
    for line in (repository / "constraints.txt").read_text(encoding="utf-8").splitlines():
        match = PIN.fullmatch(line)
        assert match, f"constraints.txt holds more than a name and a version: {line}"
        found[_normalise(match[1])] = match[2]
    return found


def _normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _split(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def test_every_dependency_is_pinned_at_or_above_its_bound(
    project: dict[str, Any], pins: dict[str, str]
) -> None:
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    for requirement in wanted:
        match = BOUND.fullmatch(requirement)
        assert match, f"not of the form name>=version: {requirement}"
        pin = pins.get(_normalise(match[1]))
        assert pin is not None, f"constraints.txt does not pin {match[1]}"
        assert _split(pin) >= _split(match[2]), (
            f"{match[1]} {pin} is below its own bound {match[2]}"
        )


def test_extras_and_groups_agree(project: dict[str, Any]) -> None:
    extras = project["project"]["optional-dependencies"]
    assert extras["dev"] == project["dependency-groups"]["dev"]
    named = re.fullmatch(r"fabricscope\[([^]]*)\]", extras["all"][0])
    assert named
    assert set(named[1].split(",")) == set(extras) - {"all"}


@pytest.mark.parametrize("name", LINKED)
def test_package_is_a_relative_link_to_its_folder(repository: Path, name: str) -> None:
    link = repository / "src" / "fabricscope" / name
    assert link.is_symlink()
    assert link.readlink() == Path("..", "..", name)
    assert link.resolve() == (repository / name).resolve()


def test_versions_agree(repository: Path) -> None:
    changelog = (repository / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[([^]]+)\]", changelog, re.MULTILINE)
    assert newest
    assert newest[1] == fabricscope.__version__


def test_installed_version_agrees() -> None:
    try:
        installed = importlib.metadata.version("fabricscope")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("fabricscope runs from the checkout and is not installed")
    assert installed == fabricscope.__version__


def _locate(repository: Path, module: str) -> Path | None:
    """Return the file of a module of this project; a package is its `__init__.py`."""
    path = repository / "src" / Path(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _list_imports(repository: Path, path: Path) -> set[str]:
    """Return the dotted modules that a file imports; `from a import b` is a.b if that is a module.

    What the packages on the way to a module import in their own `__init__.py` is not the file's
    choice and does not count.
    """
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                names.add(module if _locate(repository, module) else node.module)
    return names


def _reach(repository: Path, start: Path) -> dict[str, set[str]]:
    """Return, by file, the top-level names imported by `start` and what it pulls in."""
    reached: dict[str, set[str]] = {}
    waiting = [start]
    while waiting:
        path = waiting.pop()
        name = path.relative_to(repository).as_posix()
        if name in reached:
            continue
        imports = _list_imports(repository, path)
        reached[name] = {module.partition(".")[0] for module in imports}
        found = (_locate(repository, module) for module in imports)
        waiting.extend(path for path in found if path is not None)
    return reached


def test_kernels_reach_arrays_and_declarations_only(repository: Path) -> None:
    kernels = [path for name in LINKED for path in sorted((repository / name).rglob("kernels.py"))]
    assert kernels
    wrong = [
        f"{path.relative_to(repository)} reaches {', '.join(sorted(foreign))} through {name}"
        for path in kernels
        for name, tops in _reach(repository, path).items()
        if (foreign := tops - KERNELS_MAY_IMPORT)
    ]
    assert not wrong, "\n".join(wrong)
