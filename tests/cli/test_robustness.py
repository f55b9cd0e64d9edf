"""No input, output or signal may end in a traceback, a hang or without bounds on memory."""

import contextlib
import gzip
import io
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

import pytest
from examples.program import Program
from rich.console import Console

from fabricscope.cli.analyze import Request, run
from fabricscope.cli.terminal import print_report
from fabricscope.errors import FabricscopeError

GIGABYTE = 1 << 30
RECORD_BYTES = 16
"""Of a record that holds no packet."""


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _request(capture: Path, folder: Path, page: bool) -> Request:
    return Request(
        captures=[str(capture)],
        json=str(folder / "out.json"),
        report=str(folder / "out.html") if page else "",
        fail_on="",
        link_rate_gbps=100.0,
        idle_s=120.0,
        active_s=0.0,
        flow_capacity=65_536,
        jobs=2,
        signatures=(),
        rules="",
        snippets="",
        quiet=True,
    )


def _refusal(request: Request) -> str:
    try:
        run(request)
    except FabricscopeError as error:
        return str(error)
    return ""


def test_every_malformed_file_is_reported_or_refused(captures: Path, tmp_path: Path) -> None:
    paths = sorted(path for path in (captures / "malformed").rglob("*") if path.is_file())
    assert len(paths) > 100
    reported = 0
    for number, path in enumerate(paths):
        pages = number % 8 == 0  # they take longer than all the rest
        refused = _refusal(_request(path, tmp_path, pages))
        if refused:
            assert path.name in refused
            assert "\n" not in refused
            continue
        reported += 1
        text = (tmp_path / "out.json").read_text("utf-8")
        document = json.loads(text, parse_constant=_refuse)
        capture = document["capture"]
        lost = capture["unreadable_records"] or capture["unreadable_bytes"]
        assert capture["packets"] or lost or path.stat().st_size <= 24, path
        print_report(document, Console(file=io.StringIO(), width=100))
        assert not pages or (tmp_path / "out.html").stat().st_size > 1000
    assert reported > 100


def test_a_malformed_file_ends_the_program_with_one_line(captures: Path, program: Program) -> None:
    path = captures / "malformed/pcapplusplus_fuzz/crash-null-deref-pcapng-shb"
    outcome = program("analyze", path)
    assert (outcome.status, outcome.stdout) == (2, "")
    assert outcome.stderr.count("\n") == 1
    assert str(path) in outcome.stderr


def test_what_a_cut_file_holds_is_reported(
    repository: Path, program: Program, tmp_path: Path
) -> None:
    whole = (repository / "pcaps/ring-allreduce.pcap").read_bytes()
    (tmp_path / "cut.pcap").write_bytes(whole[:-10])
    outcome = program("analyze", "cut.pcap", "--json", "-")
    capture = json.loads(outcome.stdout, parse_constant=_refuse)["capture"]
    assert outcome.status == 0
    assert capture["packets"] == 1464
    assert capture["truncated_packets"] > 0
    assert "cut in the middle of record 1464" in capture["ended"][0].replace(",", "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_one_line(program: Program, tmp_path: Path) -> None:
    (tmp_path / "secret.pcap").write_bytes(b"")
    (tmp_path / "secret.pcap").chmod(0)
    outcome = program("analyze", "secret.pcap")
    assert outcome.status == 2
    assert "Permission denied" in outcome.stderr


def test_a_name_that_is_not_utf8_is_shown_in_codes(
    repository: Path, program: Program, tmp_path: Path
) -> None:
    name = os.fsdecode(b"caf\xe9.pcap")
    (tmp_path / name).write_bytes((repository / "pcaps/ring-allreduce.pcap").read_bytes()[:5000])
    outcome = program("analyze", name, "--json", "-", "--report", "out.html")
    document = json.loads(outcome.stdout, parse_constant=_refuse)
    assert outcome.status == 0
    assert document["capture"]["files"] == [r"caf\xe9.pcap"]
    assert r"caf\xe9.pcap" in (tmp_path / "out.html").read_text("utf-8")


def test_a_small_file_that_unpacks_to_a_large_one_needs_no_memory(
    repository: Path, program: Program, tmp_path: Path
) -> None:
    head = (repository / "pcaps/ring-allreduce.pcap").read_bytes()[:24]
    with gzip.open(tmp_path / "bomb.pcap.gz", "wb", compresslevel=1) as file:
        file.write(head)
        zeros = bytes(1 << 20)
        for _ in range(300):
            file.write(zeros)
    outcome = program("analyze", "bomb.pcap.gz", "--json", "-", "--quiet")
    assert outcome.status == 0
    assert json.loads(outcome.stdout)["capture"]["packets"] == (300 << 20) // RECORD_BYTES
    assert outcome.peak_bytes < GIGABYTE


def test_endless_rubbish_is_given_up(repository: Path, program: Program) -> None:
    start = (repository / "pcaps/ring-allreduce.pcap").read_bytes()
    feeder = subprocess.Popen(
        [sys.executable, "-c", _FEED_RUBBISH], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert feeder.stdin
    assert feeder.stdout
    feeder.stdin.write(start)
    feeder.stdin.close()
    outcome = program("analyze", "-", "--json", "-", stdin=feeder.stdout)
    feeder.wait(timeout=60)
    capture = json.loads(outcome.stdout)["capture"]
    assert outcome.status == 0
    assert capture["packets"] >= 1464
    assert capture["unreadable_records"] >= 1
    assert outcome.peak_bytes < GIGABYTE


_FEED_RUBBISH = """
import sys
out = sys.stdout.buffer
out.write(sys.stdin.buffer.read())
try:
    while True:
        out.write(b"\\xff" * 65536)
except BrokenPipeError:
    sys.stderr.close()
"""


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_standard_input_gives_what_the_file_gives(
    repository: Path, program: Program, packed: bool
) -> None:
    path = repository / "pcaps/ring-allreduce.pcap"
    data = gzip.compress(path.read_bytes()) if packed else path.read_bytes()
    piped = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert piped.stdin
    threading.Thread(target=_feed, args=(piped.stdin, data), daemon=True).start()
    of_pipe = json.loads(program("analyze", "-", "--json", "-", stdin=piped.stdout).stdout)
    piped.wait(timeout=60)
    of_file = json.loads(program("analyze", path, "--json", "-").stdout)
    assert of_pipe["capture"]["formats"] == (["pcap, gzip"] if packed else ["pcap"])
    for section in ("flows", "queue_pairs", "protocols", "timeline", "distributions"):
        assert _without_names(of_pipe[section]) == _without_names(of_file[section]), section


def _feed(stream: io.IOBase, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):
        stream.write(data)
        stream.close()


def _without_names(section: object) -> object:
    """Return a section without the names of its taps, which are those of the inputs."""
    if isinstance(section, list):
        return [_without_names(entry) for entry in section]
    if isinstance(section, dict):
        return {name: value for name, value in section.items() if name != "tap"}
    return section


@pytest.mark.parametrize("seconds", [0.2, 3.0], ids=["starting", "reading"])
def test_ctrl_c_ends_the_program_at_once(
    environment: dict[str, str], seconds: float, repository: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "fabricscope", "analyze", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    assert process.stdin
    process.stdin.write((repository / "pcaps/ring-allreduce.pcap").read_bytes())
    process.stdin.flush()
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert b"Traceback" not in stderr
    assert stdout == b""
    if seconds >= 1:
        assert process.returncode == 130
        assert stderr.decode().endswith("fabricscope: Interrupted.\n")


def test_a_terminal_gets_a_bar_that_is_taken_away(
    environment: dict[str, str], repository: Path
) -> None:
    """A pipe that stays open for a second makes the work long enough for a bar."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "fabricscope", "analyze", "-", "--json", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=follower,
        env=environment,
    )
    os.close(follower)
    assert process.stdin
    data = (repository / "pcaps/ring-allreduce.pcap").read_bytes()
    process.stdin.write(data[:200_000])
    process.stdin.flush()
    time.sleep(3)
    stdout, _ = process.communicate(data[200_000:], timeout=120)
    shown = bytearray()
    with contextlib.suppress(OSError):  # the end of a terminal is an error on Linux
        while block := os.read(leader, 4096):
            shown += block
    os.close(leader)
    assert json.loads(stdout)["capture"]["packets"] == 1464
    assert b"MB/s" in shown
    assert shown.endswith(b"\r\x1b[K")


def test_a_pipe_gets_no_bar(repository: Path, program: Program) -> None:
    outcome = program("analyze", repository / "pcaps/ring-allreduce.pcap", "--json", "-")
    assert "#" not in outcome.stderr
    assert "\r" not in outcome.stderr
    assert outcome.stdout.count("\n") == 1
