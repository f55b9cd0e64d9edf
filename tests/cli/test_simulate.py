"""`simulate`: options against the file, and what it refuses before it runs."""

from dataclasses import replace
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from rich.console import Console

from fabricscope.cli.failover import print_simulation
from fabricscope.cli.simulate import Request, run
from fabricscope.errors import ConfigError, FabricError
from fabricscope.topology.scenario_file import Source
from fabricscope.topology.simulation import simulate

BASE = Request(
    scenario="", fabric="leaf-spine:2x2x2@100G", fail=("leaf1-spine1@50us",),
    workload=("alltoall:1MiB",), workload_from="", recovery="dpfr,none", profile="", balancing="",
    engine="flow", repetitions=0, seed=-1, settings=(), sweep=(), tap=(), jobs=1, json="",
    report="", capture="", quiet=True,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"fabric": ""}, "needs a SCENARIO.toml"),
        ({"jobs": 99}, "--jobs 99 is out of range"),
        ({"workload_from": "x.pcap"}, "exclude each other"),
        ({"capture": "-"}, "name one instead of -"),
        ({"capture": "x.pcap", "sweep": ("seed=1,2",)}, "leave out --sweep"),
        ({"json": "x.json", "report": "x.json"}, "--json and --report are both"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        run(replace(BASE, **changes))  # type: ignore[arg-type]


def test_options_go_over_the_file_and_are_named_in_errors(tmp_path: Path) -> None:
    path = tmp_path / "case.toml"
    path.write_text('fabric = "leaf-spine:2x2x2@100G"\nworkload = "alltoall:1MiB"\n')
    request = replace(BASE, scenario=str(path), fabric="", workload=(), engine="warp")
    with pytest.raises(FabricError, match=r"^--engine: "):
        run(request)
    report = tmp_path / "page.html"
    assert run(replace(request, engine="flow", report=str(report))) == 0
    assert "<!doctype html>" in report.read_text(encoding="utf-8")


def test_a_capture_of_the_failed_link_is_written(tmp_path: Path) -> None:
    capture = tmp_path / "out.pcapng"
    request = replace(BASE, capture=str(capture), settings=("nic.dcqcn=false",))
    assert run(request) == 0
    assert capture.read_bytes()[:4] == bytes.fromhex("0a0d0d0a")
    assert capture.stat().st_size > 1000


def test_a_terminal_without_unicode_gets_ascii() -> None:
    content = {
        "fabric": BASE.fabric, "workload": "alltoall:1MiB", "failures": "leaf1-spine1@50us",
        "recovery": ["dpfr", "none"], "engine": "flow",
    }  # fmt: skip
    document = simulate(content, Source("case.toml"))
    buffer = BytesIO()
    stream = TextIOWrapper(buffer, encoding="ascii")
    print_simulation(document, Console(file=stream, width=100))
    stream.flush()
    assert b"dpfr" in buffer.getvalue()
