"""Signature files found and read: the shipped catalogue and the user's own directories.

Only files are handled here; their text is parsed, checked and compiled by `analyzers.dpi`. What
was compiled once is kept in the cache folder (`pipeline.signature_cache`).
"""

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fabricscope.analyzers.dpi.tables import CompiledSignatures
from fabricscope.errors import ConfigError
from fabricscope.pipeline.signature_cache import SignatureFile, cache_key, read_cache, write_cache
from fabricscope.pipeline.text_files import read_text_file

if TYPE_CHECKING:
    from fabricscope.analyzers.dpi.signatures import Signature

MAX_FILES: Final = 256


def load_signatures(extra_dirs: Sequence[Path] = ()) -> CompiledSignatures:
    """Return the shipped signatures and those of `extra_dirs`, compiled.

    A protocol in a later directory replaces the shipped one of the same name. Raises ConfigError.
    """
    return _compiled(tuple(_read(extra_dirs)))


def list_signatures(extra_dirs: Sequence[Path] = ()) -> "list[Signature]":
    """Return all protocols of the catalogue by name. Raises ConfigError."""
    return sorted(_parse(_read(extra_dirs)), key=lambda protocol: protocol.name)


def check_signatures(directory: Path) -> "list[Signature]":
    """Return the protocols of a directory of signature files, or raise ConfigError."""
    from fabricscope.analyzers.dpi.compiler import compile_signatures

    protocols = _parse(_read_directory(directory))
    compile_signatures(protocols)
    return protocols


@lru_cache(maxsize=4)
def _compiled(sources: tuple[SignatureFile, ...]) -> CompiledSignatures:
    key = cache_key(sources)
    kept = read_cache(key)
    if kept is not None:
        return kept
    from fabricscope.analyzers.dpi.compiler import compile_signatures

    signatures = compile_signatures(_parse(sources))
    write_cache(key, signatures)
    return signatures


def _parse(sources: Sequence[SignatureFile]) -> "list[Signature]":
    from fabricscope.analyzers.dpi.signatures import merge_signatures, parse_signatures

    return merge_signatures(parse_signatures(text, name) for name, text in sources)


def _read(extra_dirs: Sequence[Path]) -> list[SignatureFile]:
    sources = _shipped()
    for directory in extra_dirs:
        sources.extend(_read_directory(directory))
    return sources


def _shipped() -> list[SignatureFile]:
    folder = files("fabricscope.analyzers.dpi") / "catalogue"
    entries = sorted((entry for entry in folder.iterdir()), key=lambda entry: entry.name)
    return [
        (entry.name, entry.read_text("utf-8")) for entry in entries if entry.name.endswith(".toml")
    ]


def _read_directory(directory: Path) -> list[SignatureFile]:
    if not directory.is_dir():
        raise ConfigError(f"{directory} is not a directory; give one that holds *.toml files")
    paths = sorted(directory.glob("*.toml"))
    if not paths:
        raise ConfigError(f"{directory} holds no *.toml file; put signature files there")
    if len(paths) > MAX_FILES:
        raise ConfigError(f"{directory} holds more than {MAX_FILES} signature files")
    return [(str(path), read_text_file(path)) for path in paths]
