"""Finding, reading and checking a recipe file; what a recipe may say stands in recipe.py."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fabricscope.collectors.synthetic.recipe import (
    Collective,
    ConnectionFault,
    Load,
    Mirror,
    Pause,
    Recipe,
    SlowLink,
    SlowRank,
)
from fabricscope.errors import RecipeError

RECIPE_FOLDER = Path(__file__).resolve().parents[2] / "pcaps" / "recipes"


def find_recipe(name: str) -> Path:
    """Return the recipe file for a path or the name of a shipped recipe; RecipeError if none."""
    direct = Path(name)
    if direct.is_file():
        return direct
    shipped = RECIPE_FOLDER / f"{name}.toml"
    if "/" not in name and shipped.is_file():
        return shipped
    known = ", ".join(sorted(path.stem for path in RECIPE_FOLDER.glob("*.toml")))
    raise RecipeError(
        f"Recipe {name} is no file and no shipped recipe; give a path or one of: {known}."
    )


def load_recipe(path: str, overrides: Mapping[str, object] | None = None) -> Recipe:
    """Read a recipe by path or shipped name.

    `overrides` maps dotted keys ("encapsulation.kind", "workloads.0.iterations") to values.
    RecipeError names the file and the key.
    """
    file = find_recipe(path)
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise RecipeError(f"Recipe {file} cannot be read: {error}; correct it.") from error
    for key, value in (overrides or {}).items():
        _override(file, content, key, value)
    content.setdefault("name", file.stem)
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the recipe"
        reason = first["msg"].removeprefix("Value error, ")
        raise RecipeError(
            f"Recipe {file}: {key} is wrong ({reason[:1].lower()}{reason[1:]}); correct it."
        ) from error
    _check_hosts(file, recipe)
    return recipe


def _override(file: Path, content: dict[str, Any], key: str, value: object) -> None:
    """Set a dotted key; a number selects an entry of a list."""
    node: Any = content
    *parents, last = key.split(".")
    try:
        for part in parents:
            node = node[int(part)] if isinstance(node, list) else node.setdefault(part, {})
        node[int(last) if isinstance(node, list) else last] = value
    except (ValueError, IndexError, TypeError, AttributeError) as error:
        raise RecipeError(f"Recipe {file}: the override {key} fits no key; correct it.") from error


def _check_hosts(file: Path, recipe: Recipe) -> None:
    """Refuse host, workload and tap references that do not exist."""
    uses: list[tuple[str, int]] = []
    for number, workload in enumerate(recipe.workloads):
        if isinstance(workload, Collective):
            uses += [(f"workloads.{number}.ranks", host) for host in workload.ranks]
        elif not isinstance(workload, Load):
            uses += [(f"workloads.{number}.pairs", h) for pair in workload.pairs for h in pair]
    for number, fault in enumerate(recipe.faults):
        key = f"faults.{number}"
        if isinstance(fault, Pause | SlowRank | SlowLink):
            uses.append((f"{key}.host", fault.host))
        elif isinstance(fault, ConnectionFault):
            uses += [(f"{key}.src", fault.src), (f"{key}.dst", fault.dst)]
        elif isinstance(fault, Mirror):
            names = [tap.name for tap in recipe.capture.taps]
            if fault.tap and fault.tap not in names:
                raise RecipeError(
                    f"Recipe {file}: {key}.tap is {fault.tap}, which is no tap's name."
                )
    for number, tap in enumerate(recipe.capture.taps):
        uses += [(f"capture.taps.{number}.hosts", host) for host in tap.hosts]
    for key, host in uses:
        if host >= recipe.network.hosts:
            raise RecipeError(
                f"Recipe {file}: {key} names host {host}, but network.hosts is "
                f"{recipe.network.hosts}; hosts count from 0."
            )
