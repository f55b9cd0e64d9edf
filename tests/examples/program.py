"""The real program, run as a process of its own with a limit on its time."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import pytest

PATIENCE_S = 600
"""Longest that any command may take; a first run compiles for minutes."""


@dataclass(frozen=True)
class Outcome:
    """What a finished command left behind; `peak_bytes` is its largest resident set."""

    status: int
    stdout: str
    stderr: str
    peak_bytes: int


class Program(Protocol):
    """Runs `fabricscope` with arguments."""

    def __call__(
        self,
        *arguments: str | Path,
        stdin: bytes | IO[bytes] | None = None,
        settings: dict[str, str] | None = None,
    ) -> Outcome: ...


def _high_water_bytes(pid: int) -> int:
    """Return the largest resident set of a process so far, 0 where the system does not tell.

    What the system tells at the end is no use: it includes the test process before the exec.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    lines = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(lines[0].split()[1]) * 1024 if lines else 0


def wait(process: "subprocess.Popen[bytes]", command: Sequence[str]) -> tuple[int, int]:
    """Return exit status and peak resident set; a process that does not end is a failure."""
    deadline_s = time.monotonic() + PATIENCE_S
    peak_bytes = 0
    while time.monotonic() < deadline_s:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            told = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            return process.returncode, peak_bytes or told
        peak_bytes = max(peak_bytes, _high_water_bytes(process.pid))
        time.sleep(0.02)
    process.kill()
    process.wait()
    pytest.fail(f"{' '.join(command)} had not ended after {PATIENCE_S} s")
