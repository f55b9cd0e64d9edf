"""Scenarios from files and options: errors name the place, overrides find their key."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.experiment import prepare
from fabricscope.topology.scenario_file import (
    Source,
    build_scenario,
    override,
    parse_setting,
    read_content,
    write_schema,
)

LEAST = {"fabric": "leaf-spine:2x2x2@100G", "workload": "alltoall:1MiB", "recovery": ["dpfr"]}
SOURCE = Source("case.toml")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"engine": "warp"}, r"^case.toml: engine: .*'auto', 'flow'.* \(it is 'warp'\)$"),
        ({"workload": [{"operation": "p2p", "size": "-1GiB"}]}, "^case.toml: workload.0.size: "),
        ({"colour": 1}, "^case.toml: colour: there is no key 'colour' here"),
        ({"nic": {"timeout": 99}}, "^case.toml: nic: timeout must be 0 to 31"),
        ({"nic": {"mtu": 99}}, "^case.toml: nic.mtu: there is no key 'mtu' here"),
        ({"failures": "leaf1-spine1@-1ms"}, "^case.toml: failures.0.at: "),
        ({"fabric": None}, "^case.toml: fabric: "),
    ],
)
def test_errors_name_file_and_key(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(FabricError, match=message) as caught:
        build_scenario({**LEAST, **keys}, SOURCE)
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(FabricError, match=r"^case.toml: workload: is missing; give it$"):
        build_scenario({"fabric": "x"}, SOURCE)


def test_an_option_is_named_instead_of_the_file() -> None:
    source = Source("case.toml", {"engine": "--engine"})
    with pytest.raises(FabricError, match=r"^--engine: "):
        build_scenario({**LEAST, "engine": "warp"}, source)


def test_files_that_are_no_scenarios_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FabricError, match="cannot be read: No such file"):
        read_content(str(tmp_path / "none.toml"))
    broken = tmp_path / "broken.toml"
    broken.write_bytes(b"fabric = \xff")
    with pytest.raises(FabricError, match="byte 9 is not UTF-8"):
        read_content(str(broken))
    broken.write_text("fabric = [")
    with pytest.raises(FabricError, match="is not TOML"):
        read_content(str(broken))


def test_overrides_find_keys_list_entries_and_parameters_of_schemes() -> None:
    content: dict[str, Any] = {**LEAST, "recovery": ["dpfr", {"name": "bgp", "label": "slow"}]}
    override(content, "nic.timeout", 8, SOURCE)
    override(content, "recovery.dpfr.detection", "1us", SOURCE)
    override(content, "recovery.slow.hold_time", "3s", SOURCE)
    override(content, "recovery.0.profile", "frr", SOURCE)
    assert content["nic"] == {"timeout": 8}
    assert content["recovery"] == [
        {"name": "dpfr", "parameters": {"detection": "1us"}, "profile": "frr"},
        {"name": "bgp", "label": "slow", "parameters": {"hold_time": "3s"}},
    ]
    for key in ("recovery.7.profile", "recovery.ospf.x", "fabric.kind", "recovery.x"):
        with pytest.raises(FabricError, match=re.escape(f"case.toml: {key}: there is no such key")):
            override(content, key, 1, SOURCE)


def test_settings_are_toml_or_text() -> None:
    assert parse_setting("nic.timeout=8,12", "--sweep") == ("nic.timeout", [8, 12])
    assert parse_setting("nic.dcqcn=false", "--set") == ("nic.dcqcn", [False])
    assert parse_setting("fabric=leaf-spine:2x2x2@100G", "--set")[1] == ["leaf-spine:2x2x2@100G"]
    assert parse_setting('recovery=["a","b"],["c"]', "--sweep")[1] == [["a", "b"], ["c"]]
    for text in ("nic", "=1", "nic="):
        with pytest.raises(FabricError, match="is not KEY=VALUE"):
            parse_setting(text, "--set")


def test_the_committed_schema_is_current(repository: Path) -> None:
    written = json.loads((repository / "docs/scenario.schema.json").read_text(encoding="utf-8"))
    assert written == write_schema()


@pytest.mark.parametrize("name", ["uplink-loss", "southbound-loss", "nic-timeout"])
def test_shipped_scenarios_fit_their_fabrics(name: str, repository: Path) -> None:
    path = str(repository / f"docs/examples/{name}.toml")
    source = Source(path)
    experiment = prepare(build_scenario(read_content(path), source), source)
    assert experiment.failures
