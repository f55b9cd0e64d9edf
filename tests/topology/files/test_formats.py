"""All formats alike: what is written is read again, and broken files give one sentence."""

import contextlib
import random
import time
from pathlib import Path

import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.builders import build
from fabricscope.topology.fabric import NVLINK_SWITCH, Fabric
from fabricscope.topology.files import FORMATS, read_fabric, render_fabric, write_fabric
from fabricscope.topology.files.draft import Draft

SPECS = (
    "leaf-spine:3x2x4@400G,links=2,host_length=1",
    "fat-tree:k=4@100G",
    "rail:2x4x2@100G,units=2",
    "dual-plane:2x2x3@200G",
    "dual-tor:2x2x3@200G,uplink=800G",
)
TREES = ("slurm",)
"""Formats that hold a tree only; they have tests of their own."""


def _wires(fabric: Fabric, *, ports: bool) -> list[tuple[object, ...]]:
    """Return each link by names and rate, in one order of its ends."""
    wires: list[tuple[object, ...]] = []
    for link in fabric.links:
        ends = [
            (fabric.devices[end].name, port if ports else "")
            for end, port in ((link.a, link.a_port), (link.b, link.b_port))
        ]
        if NVLINK_SWITCH not in (fabric.devices[link.a].kind, fabric.devices[link.b].kind):
            wires.append((*sorted(ends), link.rate_gbps))
    return sorted(wires)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("name", [name for name in FORMATS if name not in TREES])
def test_what_is_written_is_read_again(name: str, spec: str, tmp_path: Path) -> None:
    fabric = build(spec)
    regular = spec.startswith(("leaf-spine", "fat-tree"))
    path = tmp_path / f"fabric{FORMATS[name].suffixes[0]}"
    if name == "htsim" and not regular:
        with pytest.raises(FabricError, match="regular leaf-spine and Clos"):
            write_fabric(fabric, path)
        return
    lost = write_fabric(fabric, path)
    again = read_fabric(path).fabric
    with_ports = name not in ("ibnetdiscover", "htsim")
    assert _wires(again, ports=with_ports) == _wires(fabric, ports=with_ports)
    kinds = {d.name: (d.kind, d.tier) for d in fabric.devices if d.kind != NVLINK_SWITCH}
    found = {d.name: (d.kind, d.tier) for d in again.devices if d.kind != NVLINK_SWITCH}
    assert found == kinds
    if not lost:
        assert (again.devices, again.links, again.name) == (
            fabric.devices, fabric.links, fabric.name,
        )  # fmt: skip


@pytest.mark.parametrize("spec", [*SPECS, "textbook"])
def test_the_own_format_keeps_everything(spec: str, tmp_path: Path) -> None:
    path = tmp_path / "fabric.toml"
    assert write_fabric(build(spec), path) == ()
    assert read_fabric(path).fabric == build(spec) == build(str(path))


@pytest.mark.parametrize("name", [name for name, one in FORMATS.items() if one.marks])
def test_a_format_is_recognised_by_its_content(name: str, tmp_path: Path) -> None:
    path = tmp_path / "fabric.out"
    text, _ = render_fabric(build(SPECS[0]), "", name)
    path.write_text(text)
    assert read_fabric(path) == read_fabric(path, name=name)


@pytest.mark.parametrize("name", FORMATS)
def test_fuzzed_files_give_the_documented_error_only(name: str) -> None:
    chance = random.Random(name)
    text, _ = render_fabric(build("leaf-spine:2x2x2@100G"), "", name)
    started = time.monotonic()
    letters = "\"'{}[]<>/=:,#-&*|\t\n \0 0919eE.x\u2028é"
    for number in range(400):
        if number % 4 == 0:
            mutant = text[: chance.randrange(len(text))]
        else:
            characters = list(text)
            for _ in range(chance.randint(1, 6)):
                place = chance.randrange(len(characters))
                if chance.random() < 0.5:
                    characters[place] = chance.choice(letters)
                elif chance.random() < 0.5:
                    characters.insert(place, chance.choice(letters))
                else:
                    other = chance.randrange(len(characters))
                    characters[place : place + 12] = characters[other : other + 12]
            mutant = "".join(characters)
        with contextlib.suppress(FabricError):
            FORMATS[name].read(mutant, Draft("fuzz.json"))
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("name", FORMATS)
def test_errors_are_one_sentence_with_the_file(name: str) -> None:
    for text in ("\0", "{", "[1,2", "a: &b 1", "<a>", "Tier 1 2 3", "Switch x"):
        with pytest.raises(FabricError, match=r"\Asome\.file: [^\n]*\Z"):
            FORMATS[name].read(text, Draft("some.file"))


def test_files_that_cannot_be_opened_or_read(tmp_path: Path) -> None:
    with pytest.raises(FabricError, match="cannot be opened"):
        read_fabric(tmp_path / "none.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"name = \xff")
    with pytest.raises(FabricError, match="byte 7 is no UTF-8"):
        read_fabric(binary)
    unknown = tmp_path / "unknown.txt"
    unknown.write_text("hello")
    with pytest.raises(FabricError, match="not recognised; say which with --format"):
        read_fabric(unknown)
    with pytest.raises(FabricError, match="did you mean netjson"):
        read_fabric(unknown, name="net-json")
    with pytest.raises(FabricError, match=r"holds 0 \.json files"):
        read_fabric(tmp_path)
    with pytest.raises(FabricError, match="no format has this suffix"):
        write_fabric(build("textbook"), tmp_path / "x.doc")
    with pytest.raises(FabricError, match="cannot be written"):
        write_fabric(build("textbook"), tmp_path / "no" / "x.toml")
