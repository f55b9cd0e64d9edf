"""Experiments as addresses hold them, and the fabrics that they may name."""

from pathlib import Path

import pytest

from fabricscope.dashboard import experiment as module
from fabricscope.dashboard.experiment import Experiment, Fabrics, read_experiment
from fabricscope.dashboard.view import View, read_view
from fabricscope.errors import FabricError
from fabricscope.topology.builders import build
from fabricscope.topology.files import render_fabric

SMALL = "leaf-spine:2x2x2@100G"


def test_an_address_holds_the_whole_experiment() -> None:
    wanted = Experiment(SMALL, ("leaf0-spine1@1ms", "spine0@2ms:silent"), ("dpfr", "bgp"),
                        "alltoall:1MiB", "flow", 3, 8)  # fmt: skip
    query = View(0, 1).query(**wanted.parameters())
    assert read_experiment(read_view(query)) == wanted
    assert wanted.content("x.toml") == {
        "fabric": "x.toml", "failures": ["leaf0-spine1@1ms", "spine0@2ms:silent"],
        "recovery": ["dpfr", "bgp"], "workload": "alltoall:1MiB", "engine": "flow",
        "repetitions": 3, "nic": {"timeout": 8},
    }  # fmt: skip


def test_nonsense_is_as_usual_and_everything_has_a_bound() -> None:
    usual = read_experiment(View(0, 1))
    assert (usual.fabric, usual.engine, usual.repetitions, usual.timeout) == (
        "textbook", "auto", 1, 14,
    )  # fmt: skip
    assert read_experiment(View(0, 1), site_fabric=True).fabric == "site"
    odd = read_experiment(read_view("engine=warp&repeat=99999&timeout=77&fail=;;a@1ms;a@1ms"))
    assert (odd.engine, odd.repetitions, odd.timeout) == ("auto", 1, 14)
    assert odd.failures == ("a@1ms",)
    assert read_experiment(read_view("repeat=9999")).repetitions == 100


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../x.toml", "fabric.toml", "", "import:7", "site"]
)
def test_no_name_opens_a_file_of_the_server(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fabric.toml").write_text(render_fabric(build(SMALL), "-", "toml")[0])
    with pytest.raises(FabricError):
        Fabrics(None).find(name)


def test_built_own_and_imported_fabrics_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    own = build(SMALL)
    fabrics = Fabrics(own)
    assert fabrics.find("textbook")[1] == "textbook"
    assert fabrics.find(SMALL)[0].link_names == own.link_names
    found, path = fabrics.find("site")
    assert found is own
    assert Path(path).read_text()
    monkeypatch.setattr(module, "_IMPORTS_KEPT", 1)
    text = render_fabric(own, "-", "toml")[0].encode()
    first = fabrics.bring_in("../evil/mine.toml", text)
    assert fabrics.find(first)[0].link_names == own.link_names
    assert fabrics.bring_in("mine.toml", text) == first
    second = fabrics.bring_in("other.toml", text + b"\n")
    assert fabrics.find(second)[1].endswith(".toml")
    with pytest.raises(FabricError, match="gone"):
        fabrics.find(first)
    # The same file is called the same, also after a restart.
    again = Fabrics(None)
    assert again.bring_in("mine.toml", text) == first
    fabrics.close()
    again.close()
    assert not Path(path).exists()


def test_what_an_address_describes_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    fabrics = Fabrics(None)
    with pytest.raises(FabricError, match="more than the 20,000"):
        fabrics.find("leaf-spine:100x100x101@400G")
    monkeypatch.setattr(module, "LINKS_LIMIT", 7)
    with pytest.raises(FabricError, match="8 links are more than the 7 "):
        fabrics.find("leaf-spine:2x2x2@50G")
    assert fabrics.find("dgx-h100-su")[1] == "dgx-h100-su"
    text = render_fabric(build(SMALL), "-", "toml")[0].encode()
    with pytest.raises(FabricError, match="links are more than the 7 "):
        fabrics.bring_in("mine.toml", text)
    fabrics.close()


def test_a_file_that_is_no_fabric_is_refused_without_naming_the_server(tmp_path: Path) -> None:
    with pytest.raises(FabricError) as refusal:
        Fabrics(None).bring_in("holiday.jpg", b"\xff\xd8\xff" + bytes(20))
    assert "fabricscope-fabrics" not in str(refusal.value)
    assert "holiday.jpg" in str(refusal.value)
