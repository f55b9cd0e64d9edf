"""Recipes: what is accepted, and errors that name the file and the key."""

from pathlib import Path

import pytest

from fabricscope.collectors.synthetic import load_recipe
from fabricscope.errors import RecipeError


def write(folder: Path, text: str) -> str:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_shipped_recipe_by_name_and_by_path(repository: Path) -> None:
    by_name = load_recipe("ring-allreduce")
    by_path = load_recipe(str(repository / "pcaps" / "recipes" / "ring-allreduce.toml"))
    assert by_name == by_path
    assert by_name.name == "ring-allreduce"


def test_overrides_reach_nested_keys_and_list_entries() -> None:
    recipe = load_recipe(
        "ring-allreduce",
        {"encapsulation.kind": "vxlan", "network.ip_version": 6, "workloads.0.iterations": 9},
    )
    assert recipe.encapsulation.kinds == ("vxlan",)
    assert recipe.network.ip_version == 6
    assert recipe.workloads[0].iterations == 9


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[network]\nhost = 4\n", "network.host"),
        ("[network]\nhosts = 1\n", "network.hosts"),
        ("[network]\nmtu = 1500\n", "network.mtu"),
        ("[encapsulation]\nkind = 'mpls'\n", "encapsulation"),
        ("[encapsulation]\nkind = 'gre'\n[network]\nroce = 1\n", "encapsulation.kind"),
        ("[[workloads]]\nkind = 'allreduce'\nalgorithm = 'direct'\n", "workloads.0"),
        ("[[workloads]]\nkind = 'allreduce'\nranks = [0, 9]\n", "workloads.0.ranks"),
        ("[[workloads]]\nkind = 'gossip'\n", "workloads.0"),
        ("[[faults]]\nkind = 'loss'\n", "faults.0"),
        ("[[faults]]\nkind = 'loss'\nratio = 1.5\n", "faults.0"),
        ("[[faults]]\nkind = 'pfc'\nhost = 4\n", "faults.0.host"),
        ("[[faults]]\nkind = 'mirror_loss'\nratio = 0.1\ntap = 'x'\n", "faults.0.tap"),
        ("[[capture.taps]]\nname = '../x'\n", "capture.taps.0.name"),
        ("not toml", "line 1"),
    ],
)
def test_error_names_file_and_key(tmp_path: Path, text: str, key: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    message = str(caught.value)
    assert path in message
    assert key in message
    assert "\n" not in message


def test_unknown_recipe_lists_the_shipped_ones() -> None:
    with pytest.raises(RecipeError, match="ring-allreduce"):
        load_recipe("no-such-recipe")


def test_override_that_fits_no_key() -> None:
    with pytest.raises(RecipeError, match=r"workloads\.7\.iterations"):
        load_recipe("ring-allreduce", {"workloads.7.iterations": 1})
    with pytest.raises(RecipeError, match=r"network\.color"):
        load_recipe("ring-allreduce", {"network.color": "red"})
