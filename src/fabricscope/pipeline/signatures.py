"""Signature files found and read: the shipped catalogue and the user's own directories.

Only files are handled here; their text is parsed, checked and compiled by `analyzers.dpi`.
"""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

from fabricscope.analyzers.dpi.compiler import CompiledSignatures, compile_signatures
from fabricscope.analyzers.dpi.signatures import Signature, merge_signatures, parse_signatures
from fabricscope.errors import ConfigError

MAX_FILE_BYTES: Final = 1 << 20
MAX_FILES: Final = 256


def load_signatures(extra_dirs: Sequence[Path] = ()) -> CompiledSignatures:
    """Return the shipped signatures and those of `extra_dirs`, compiled.

    A protocol in a later directory replaces the shipped one of the same name. Raises ConfigError.
    """
    families = _shipped()
    for directory in extra_dirs:
        families.extend(_read_directory(directory))
    return compile_signatures(merge_signatures(families))


def list_signatures(extra_dirs: Sequence[Path] = ()) -> list[Signature]:
    """Return all protocols of the catalogue by name. Raises ConfigError."""
    return sorted(load_signatures(extra_dirs).protocols, key=lambda protocol: protocol.name)


def check_signatures(directory: Path) -> list[Signature]:
    """Return the protocols of a directory of signature files, or raise ConfigError."""
    protocols = merge_signatures(_read_directory(directory))
    compile_signatures(protocols)
    return protocols


def _shipped() -> list[list[Signature]]:
    folder = files("fabricscope.analyzers.dpi") / "catalogue"
    entries = sorted((entry for entry in folder.iterdir()), key=lambda entry: entry.name)
    return [
        parse_signatures(entry.read_text("utf-8"), entry.name)
        for entry in entries
        if entry.name.endswith(".toml")
    ]


def _read_directory(directory: Path) -> list[list[Signature]]:
    if not directory.is_dir():
        raise ConfigError(f"{directory} is not a directory; give one that holds *.toml files")
    paths = sorted(directory.glob("*.toml"))
    if not paths:
        raise ConfigError(f"{directory} holds no *.toml file; put signature files there")
    if len(paths) > MAX_FILES:
        raise ConfigError(f"{directory} holds more than {MAX_FILES} signature files")
    return [parse_signatures(_read_file(path), str(path)) for path in paths]


def _read_file(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_FILE_BYTES} bytes; split it")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8; save it as UTF-8") from None
