"""What tests of the command line share."""

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest
from examples.program import Outcome, Program, wait


@pytest.fixture(scope="session")
def environment(repository: Path) -> dict[str, str]:
    """Return what the program finds around it: this checkout, and no terminal."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    numba = {name: value for name, value in os.environ.items() if name.startswith("NUMBA_")}
    return {
        **kept,
        **numba,
        "PYTHONPATH": str(repository / "src"),
        "PYTHONUTF8": "1",
        "COLUMNS": "100",
        "TERM": "dumb",
    }


@pytest.fixture
def program(environment: dict[str, str], tmp_path: Path) -> Program:
    """Return a function that runs the program in `tmp_path` until it ends."""

    def run(
        *arguments: str | Path,
        stdin: bytes | IO[bytes] | None = None,
        settings: dict[str, str] | None = None,
    ) -> Outcome:
        folder = tmp_path / "streams"
        folder.mkdir(exist_ok=True)
        if isinstance(stdin, bytes):
            (folder / "in").write_bytes(stdin)
            stdin = (folder / "in").open("rb")
        command = [sys.executable, "-m", "fabricscope", *map(str, arguments)]
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            process = subprocess.Popen(
                command,
                stdin=stdin or subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=tmp_path,
                env={**environment, **(settings or {})},
            )
            if stdin is not None:
                stdin.close()
            status, peak_bytes = wait(process, command)
        return Outcome(
            status, (folder / "out").read_text("utf-8"), (folder / "err").read_text("utf-8"),
            peak_bytes,
        )  # fmt: skip

    return run
