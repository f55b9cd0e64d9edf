"""`replay` and `live` into an InfluxDB, and what they say when that cannot be."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from servers import InfluxServer

from fabricscope.store import open_store


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxServer]:
    one = InfluxServer(tmp_path_factory.mktemp("influx"))
    one.start()
    one.prepare()
    yield one
    one.stop()


def call(
    arguments: Sequence[str], repository: Path, stdin: bytes | None = None, **variables: str
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "fabricscope", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(repository / "src"), **variables}
    return subprocess.run(command, capture_output=True, env=environment, input=stdin, timeout=300)


@pytest.mark.server
@pytest.mark.parametrize("command", ["replay", "live"])
def test_what_was_seen_is_in_the_database(
    server: InfluxServer, repository: Path, tmp_path: Path, command: str
) -> None:
    capture = repository / "pcaps/slow-link.pcap"
    store = f"influx://127.0.0.1:{server.port}/fabric"
    source = [str(capture), "--original-time", "--speed", "0"] if command == "replay" else ["-"]
    options = ["--store", store, "--collector", command]
    done = call(
        [command, *source, *options],
        repository,
        capture.read_bytes() if command == "live" else None,
        XDG_STATE_HOME=str(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    spools = [path.name for path in (tmp_path / "fabricscope" / "spool").iterdir()]
    assert spools == [f"127.0.0.1:{server.port}_fabric__ns_{command}"]
    found = open_store(store)
    samples = found.query("tap_samples", 0, 10**19)
    assert samples.filter(collector=command)["packets"].sum() == 998
    iterations = found.query("iterations", 0, 10**19).filter(collector=command)
    assert iterations["operation"].to_list() == ["allreduce"] * 4
    assert len(iterations["ranks"][0]) > 1


def test_a_server_that_is_away_is_said_and_the_points_wait(
    repository: Path, tmp_path: Path
) -> None:
    capture = str(repository / "pcaps/slow-link.pcap")
    store = f"influx://127.0.0.1:9/fabric?spool={tmp_path}"
    done = call(["replay", capture, "--speed", "0", "--store", store], repository)
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.decode().split())
    assert "http://127.0.0.1:9 is away (connection refused);" in text
    assert "points waited on disk)" in text
    assert "points wait in" in text
    assert any(tmp_path.glob("*.lines"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["replay", "{capture}", "--store", "http://host/db"], "http://host/db is no store; give"),
        (["replay", "{capture}", "--store", "influx://host"], "names no database; write it as"),
        (["replay", "{capture}", "--store", "influx://h/d?precision=h"], "'h' is none of ns"),
        (
            ["replay", "{capture}", "--store", "influx://h/d", "--max-size", "1G"],
            "--max-size is for stores in a directory; a database's own retention",
        ),
        (["store", "info", "influx://h/d"], "`fabricscope store` looks after directories"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(
    repository: Path, arguments: list[str], sentence: str
) -> None:
    capture = repository / "pcaps/slow-link.pcap"
    done = call([text.format(capture=capture) for text in arguments], repository)
    assert done.returncode == 2
    assert sentence in done.stderr.decode()
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.server
def test_a_database_that_is_not_there_ends_the_command(
    server: InfluxServer, repository: Path, tmp_path: Path
) -> None:
    capture = str(repository / "pcaps/slow-link.pcap")
    store = server.store(tmp_path).replace("/fabric?", "/fabrik?")
    done = call(["replay", capture, "--store", store], repository)
    assert done.returncode == 2
    assert b"has no database fabrik" in done.stderr
    assert b"create it there, or correct the store's URL" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
