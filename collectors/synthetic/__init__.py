"""Synthetic traffic with known truth: a recipe in, captures and a truth file out.

Importing this package is cheap; scapy, Numba and the simulation load when `generate` is called.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fabricscope.collectors.synthetic.recipe import Recipe
    from fabricscope.collectors.synthetic.truth import Truth


def load_recipe(path: str, overrides: Mapping[str, object] | None = None) -> "Recipe":
    """Read a recipe by path or by the name of a shipped one; RecipeError names file and key."""
    from fabricscope.collectors.synthetic.loading import load_recipe

    return load_recipe(path, overrides)


def generate(
    recipe_path: str,
    out_path: str,
    *,
    seed: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    overrides: dict[str, object] | None = None,
) -> "Truth":
    """Write the captures of a recipe and their truth; return what was written.

    One tap writes `out_path`, several write OUT.<tap>.pcap each; the truth is OUT.truth.json. A
    name that ends in .gz is compressed. `progress` gets packets done and expected (an estimate).
    `overrides` maps dotted recipe keys to values. RecipeError when the recipe cannot be used.
    """
    from fabricscope.collectors.synthetic.generator import generate_recipe
    from fabricscope.collectors.synthetic.loading import load_recipe

    changes = dict(overrides or {})
    if seed is not None:
        changes["seed"] = seed
    return generate_recipe(load_recipe(recipe_path, changes), out_path, progress)


__all__ = ["generate", "load_recipe"]
