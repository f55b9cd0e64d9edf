import io
from pathlib import Path

import pytest
from rich.console import Console

from fabricscope.cli import signatures
from fabricscope.errors import ConfigError


def _console() -> Console:
    return Console(file=io.StringIO(), width=200)


def _text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_catalogue_is_listed_by_family() -> None:
    console = _console()
    signatures.show([], console)
    lines = _text(console).splitlines()
    assert any(line.split()[:1] == ["tls"] for line in lines)
    assert "protocols" in lines[-2] + lines[-1]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no folder"):
        signatures.check(str(tmp_path / "nowhere"), _console())


def test_what_a_folder_holds_is_counted_and_what_is_never_matched_is_said(tmp_path: Path) -> None:
    match = '[[protocol.match]]\ntransport = "tcp"\npayload = ["@0 hex 01 02 03"]\n'
    text = f'[[protocol]]\nname = "one"\n{match}'
    (tmp_path / "own.toml").write_text(text, encoding="utf-8-sig")
    console = _console()
    signatures.check(str(tmp_path), console)
    assert _text(console).startswith("1 protocol, 1 rule in ")
    (tmp_path / "own.toml").write_text(f'{text}[[protocol]]\nname = "two"\n')
    console = _console()
    signatures.check(str(tmp_path), console)
    first, second = _text(console).splitlines()
    assert first.startswith("two has no [[protocol.match]]")
    assert second.startswith("2 protocols, 1 rule in ")


def test_flows_of_a_capture_are_named_in_order(repository: Path) -> None:
    console = _console()
    signatures.test(str(repository / "pcaps/background.pcap.gz"), [], console)
    lines = _text(console).splitlines()
    assert lines[0].split()[:4] == ["A", "B", "Proto", "Application"]
    assert lines[-1].endswith("flows named")
    assert len(lines) > 3
