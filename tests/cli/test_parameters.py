"""Plain values of options: the same as Typer's own, and no Pydantic loaded for them."""

import subprocess
import sys
from typing import Annotated

import pytest
import typer
from typer import core
from typer.testing import CliRunner

from fabricscope.cli import parameters

app = typer.Typer()


@app.command()
def show(
    name: Annotated[str, typer.Argument()],
    files: Annotated[list[str], typer.Argument()],
    count: Annotated[int, typer.Option()] = 3,
    rate: Annotated[float, typer.Option()] = 1.5,
    limit: Annotated[int, typer.Option(min=2, max=9)] = 4,
    seed: Annotated[int | None, typer.Option()] = None,
    many: Annotated[list[str] | None, typer.Option()] = None,
    numbers: Annotated[list[int] | None, typer.Option()] = None,
    quiet: Annotated[bool, typer.Option("--quiet")] = False,
) -> None:
    print(repr((name, files, count, rate, limit, seed, many, numbers, quiet)))


COMMAND_LINES = [
    "a b",
    "a b c --count 7 --rate 2.25 --seed -4 --many x --many y --quiet",
    "a b --count +12 --rate 1e3",
    "a b --count 5.0 --rate 3",
    "a b --count 5.5",
    "a b --count x",
    "a b --rate x",
    "a b --rate nan",
    "a b --rate 1_0",
    "a b --count 99999999999999999999999",
    "a b --count ''",
    "a b --limit 10",
    "a b --limit 5",
    "a b --numbers 1 --numbers 2",
    "a b --numbers x",
    "a",
    "",
    "a b --nothing",
]


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_values_and_messages_are_those_of_typer(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = [one.strip("'") for one in line.split()]
    taken = CliRunner().invoke(app, arguments)
    with monkeypatch.context() as patch:
        patch.setattr(parameters._Values, "coerce", typers_own)
        own = CliRunner().invoke(app, arguments)
    assert (taken.exit_code, taken.output) == (own.exit_code, own.output)
    assert (taken.exit_code == 0) == taken.output.startswith("('a'")


def typers_own(values: parameters._Values, value: object, param: object, ctx: object) -> object:
    return values._original(param).coerce(value, param=param, ctx=ctx)


def test_plain_commands_do_not_load_pydantic() -> None:
    code = (
        "import sys; from fabricscope.cli import app\n"
        "app._run(['analyze', 'missing.pcap', '--jobs', '1', '--idle-timeout', '3'])\n"
        "assert 'pydantic' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "missing.pcap" in done.stderr


def test_a_typer_built_otherwise_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(core, "_TyperParameter")
    parameters.take_plain_values()
