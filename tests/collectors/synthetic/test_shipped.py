"""The shipped captures: made again byte for byte, small, and listed with their checksum."""

import gzip
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "pcaps"


def load_make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pcaps_make", FOLDER / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKE = load_make()


@pytest.mark.parametrize("recipe", MAKE.shipped_recipes())
def test_making_again_gives_the_same_bytes(recipe: str, tmp_path: Path) -> None:
    truth = MAKE.make(recipe, tmp_path)
    shipped = FOLDER / truth.truth_file.name
    assert truth.truth_file.read_text() == shipped.read_text()
    for capture in truth.captures:
        made, kept = capture.read_bytes(), (FOLDER / capture.name).read_bytes()
        if capture.suffix == ".gz":
            made, kept = gzip.decompress(made), gzip.decompress(kept)
        assert made == kept
        assert len(kept) > 24


def test_readme_lists_every_capture_with_its_checksum() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `([^`/]+)` .*`([0-9a-f]{64})` \|$", text, re.M))
    present = {path.name for path in FOLDER.glob("*.pcap*")}
    assert set(listed) == present
    for name, digest in listed.items():
        assert MAKE.checksum(FOLDER / name) == digest


def test_shipped_captures_are_small() -> None:
    sizes = [path.stat().st_size for path in FOLDER.glob("*.pcap*")]
    assert max(sizes) <= 205_000
    assert sum(sizes) <= 3_000_000
