"""Commands as text: `commands/*.txt` hold shell lines and what they print.

A line that starts with `$ ` is run by a shell in the checkout; below it stand its output, its
errors with `! ` before each line, and `[exit N]` unless N is 0. `pytest --rewrite` writes the files
anew. Numbers that differ from run to run are masked.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from examples.program import PATIENCE_S

from fabricscope import __version__

FOLDER = Path(__file__).parent / "commands"
MASKS = (
    (re.escape(__version__), "<version>"),
    (r"fabricscope: compiling the (kernels|simulator).*\n", ""),
    (r"fabricscope: .* (MB|runs)/s.*\n", ""),
)


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.txt")))
def test_commands_print_what_their_file_says(
    name: str,
    repository: Path,
    environment: dict[str, str],
    tmp_path: Path,
    pytestconfig: pytest.Config,
) -> None:
    path = FOLDER / f"{name}.txt"
    expected = path.read_text(encoding="utf-8")
    printed = "".join(
        line if _is_comment(line) else line + _run(line[2:], repository, environment, tmp_path)
        for line in expected.splitlines(keepends=True)
        if _is_comment(line) or line.startswith("$ ")
    )
    if pytestconfig.getoption("--rewrite"):
        path.write_text(printed, encoding="utf-8")
    assert printed == expected


def _is_comment(line: str) -> bool:
    return line.startswith("# ")


def _run(line: str, repository: Path, environment: dict[str, str], folder: Path) -> str:
    """Run one shell line and return what goes below it in the file."""
    program = f'fabricscope() {{ {shlex.quote(sys.executable)} -m fabricscope "$@"; }}'
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{program}\n{line}"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        cwd=repository,
        env={**environment, "T": str(folder)},
        timeout=PATIENCE_S,
        check=False,
    )
    stdout, stderr = (_mask(text, folder) for text in (done.stdout, done.stderr))
    errors = "".join(f"! {error}\n" for error in stderr.splitlines())
    ended = f"[exit {done.returncode}]\n" if done.returncode else ""
    if stdout and not stdout.endswith("\n"):
        stdout += "\n"
    assert not re.search(r"^(# |\$ )", stdout, re.MULTILINE), "output looks like part of the file"
    return f"{stdout}{errors}{ended}\n"


def _mask(text: str, folder: Path) -> str:
    text = text.replace(str(folder), "$T")
    for pattern, name in MASKS:
        text = re.sub(pattern, name, text)
    return text
