"""The work of `fabricscope topology`; what it prints is in commands/topology.txt."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from fabricscope.cli.topology import convert, import_file, list_known, make, show
from fabricscope.cli.topology_commands import topology_app
from fabricscope.errors import ConfigError, FabricError
from fabricscope.topology.builders import PRESETS, build
from fabricscope.topology.fabric import Fabric
from fabricscope.topology.files import FORMATS, read_fabric, write_fabric


def _console() -> Console:
    return Console(file=io.StringIO(), width=100)


def _printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_every_command_is_registered() -> None:
    names = {command.name for command in topology_app.registered_commands}
    assert names == {"show", "build", "import", "export", "list"}


def test_what_is_built_is_shown_alike_and_compared_with_its_plan(tmp_path: Path) -> None:
    path = tmp_path / "fabric.toml"
    make("leaf-spine:2x2x2@100G", str(path), "", _console())
    one, two = _console(), _console()
    show("leaf-spine:2x2x2@100G", "", "", "", one)
    show(str(path), "", "", "", two)
    planned = "OK        cabling       as planned: leaf-spine:2x2x2@100G\n"
    assert planned not in _printed(one)  # it would compare the builder with itself
    assert _printed(two).replace(planned, "") == _printed(one)


def test_a_file_is_compared_with_the_plan_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "fabric.toml"
    fabric = build("leaf-spine:2x2x2@100G")
    write_fabric(Fabric("cut", fabric.devices, fabric.links[:-1]), path)
    console = _console()
    show(str(path), "leaf-spine:2x2x2@100G", "", "", console)
    assert "cabling       missing cables: leaf1-spine1" in _printed(console)


def test_a_file_cannot_name_another_file_as_its_plan(tmp_path: Path) -> None:
    path = tmp_path / "fabric.toml"
    fabric = build("leaf-spine:1x1x1")
    write_fabric(Fabric("x", fabric.devices, fabric.links, "/dev/zero"), path)
    with pytest.raises(FabricError, match="plan: '/dev/zero' is neither a short form"):
        show(str(path), "", "", "", _console())
    with pytest.raises(FabricError, match="--plan: '/dev/zero' is neither"):
        import_file(str(path), "-", "", "", "/dev/zero", _console())


def test_import_keeps_the_plan_and_takes_the_rate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "topology.conf", tmp_path / "out.toml"
    source.write_text("SwitchName=leaf0 Nodes=host[0-1]\n")
    import_file(str(source), str(out), "", "25G", "leaf-spine:1x1x2@25G", _console())
    fabric = read_fabric(out).fabric
    assert fabric.plan == "leaf-spine:1x1x2@25G"
    assert {link.rate_gbps for link in fabric.links} == {25.0}
    assert "taken as 25 Gb/s (--rate): 2" in capsys.readouterr().err


def test_standard_output_gets_the_file_alone(capsys: pytest.CaptureFixture[str]) -> None:
    convert("leaf-spine:1x1x1@100G", "-", "slurm", _console())
    captured = capsys.readouterr()
    assert captured.out == "SwitchName=leaf0 Nodes=host0\nSwitchName=spines Switches=leaf0\n"
    assert "a tree has one path only" in captured.err


def test_the_list_names_everything() -> None:
    console = _console()
    list_known(console)
    for name in (*PRESETS, *FORMATS):
        assert name in _printed(console)


def test_outputs_never_overwrite_their_source(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    write_fabric(build("textbook"), path)
    with pytest.raises(ConfigError, match="would overwrite the fabric"):
        show(str(path), "", "", str(path), _console())
    with pytest.raises(FabricError, match="would overwrite the source"):
        convert(str(path), str(path), "", _console())
    with pytest.raises(FabricError, match="is no fabric that can be built"):
        make(str(path), "-", "", _console())
