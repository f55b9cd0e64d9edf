"""Settings of `live`: the file, what `--check` shows, and what the names mean."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from examples.program import Program

from fabricscope.cli.live_settings import naming_from, parse_bytes, parse_pairs, parse_seconds
from fabricscope.config import LiveSettings
from fabricscope.errors import ConfigError
from fabricscope.pipeline.live.naming import Place


def test_times_and_sizes() -> None:
    assert parse_seconds("30d") == 30 * 86_400
    assert parse_seconds("1.5h") == 5_400
    assert parse_bytes("20G") == 20 * 10**9
    assert parse_bytes("512") == 512
    for text in ("", "h", "-3d", "3 years"):
        with pytest.raises(ConfigError):
            parse_seconds(text)
    with pytest.raises(ConfigError):
        parse_bytes("20 gigs")


def test_pairs_and_directions() -> None:
    assert parse_pairs("--tap", ["eth2=a-b:up", "e=f=g"]) == {"eth2": "a-b:up", "e": "f=g"}
    with pytest.raises(ConfigError, match="--tap eth2: write NAME=LINK"):
        parse_pairs("--tap", ["eth2"])
    settings = LiveSettings(taps={"eth2": "a-b:up", "eth3": "a-c"}, hosts={"10.0.0.1": "h-a"})
    naming = naming_from(settings)
    assert naming.taps == {"eth2": Place("a-b", "up"), "eth3": Place("a-c", "both")}
    assert naming.hosts["10.0.0.1"] == "h-a"
    with pytest.raises(ConfigError, match=r"taps.eth2 = 'a-b:sideways'.*one of up, down, both"):
        naming_from(LiveSettings(taps={"eth2": "a-b:sideways"}))


def test_a_topology_names_hosts_and_gives_rates(repository: Path, tmp_path: Path) -> None:
    fabric = tmp_path / "fabric.toml"
    fabric.write_text(
        'schema = "fabricscope-fabric/1"\nname = "two"\n'
        'device = [{name = "host0", kind = "host"}, {name = "leaf0", kind = "leaf"}]\n'
        'link = [{a = "host0", b = "leaf0", b_port = "swp1", rate_gbps = 200.0}]\n'
    )
    naming = naming_from(LiveSettings(topology=str(fabric), hosts={"10.0.0.1": "host0"}))
    assert naming.hosts["10.0.0.1"] == "host0-leaf0"
    assert naming.rate_of("host0-leaf0") == 200.0
    assert naming.ports["leaf0 swp1"] == Place("host0-leaf0", "up")


def test_check_shows_what_is_in_force_and_where_it_came_from(
    program: Program, tmp_path: Path
) -> None:
    (tmp_path / "some.toml").write_text('counters = "lo"\nkeep = "7d"\n[taps]\nlo = "a-b:up"\n')
    done = program("live", "--config", "some.toml", "--keep", "2d", "--store", "kept", "--check")
    assert done.status == 0, done.stderr
    lines = {line.split(" = ")[0]: line for line in done.stdout.splitlines() if " = " in line}
    assert lines["counters"].split("  #")[0].strip() == 'counters = "lo"'
    assert lines["counters"].endswith("# some.toml")
    assert lines["keep"].startswith('keep = "2d"')
    assert lines["keep"].endswith("# command line")
    assert lines["ring"].endswith("# default")
    assert lines["taps"].startswith('taps = {"lo" = "a-b:up"}')
    assert "everything that live needs is there" in done.stdout
    assert (tmp_path / "kept").is_dir()
    assert not list((tmp_path / "kept").iterdir())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--config", "nosuch.toml"], "--config nosuch.toml: no such file"),
        (["--interface", "nosuch0", "--check"], "there is no interface nosuch0"),
        (["--counters", "lo", "--store", "/proc/no", "--check"], "store /proc/no"),
        (["--counters", "lo", "--keep", "soon", "--check"], "'soon' is no time"),
        (["--counters", "lo", "--rules", "no.toml", "--check"], "no.toml"),
        (["--counters", "lo", "--topology", "no.toml", "--check"], "no.toml"),
        (["--counters", "lo", "--user", "nobody-such", "--check"], "there is no such user"),
        (["--counters", "lo", "--processes", "2"], "--processes needs --interface"),
        (["--counters", "lo", "--processes", "0"], "--processes: input should be greater"),
        (
            ["--interface", "lo", "--listen", "erspan", "--processes", "2"],
            "--processes 1 is what --listen erspan needs",
        ),
    ],
)
def test_what_would_not_work_is_said_in_a_sentence(
    program: Program, arguments: list[str], sentence: str
) -> None:
    done = program("live", *arguments)
    assert done.status == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_unit_is_one_that_systemd_takes(repository: Path, tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("needs systemd-analyze, which is not installed")
    text = (repository / "docs" / "fabricscope.service").read_text()
    assert text.count("/opt/fabricscope/bin/fabricscope live --config") == 2
    unit = tmp_path / "fabricscope.service"
    unit.write_text(text.replace("/opt/fabricscope/bin/fabricscope", sys.executable))
    done = subprocess.run([verify, "verify", str(unit)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
