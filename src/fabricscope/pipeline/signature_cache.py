"""Compiled signatures kept on disk between runs: parsing and compiling costs 0.13 s each time.

The folder is `fabricscope` in $XDG_CACHE_HOME, or in ~/.cache. A file is named and marked by a key
made of everything that it follows from; it is used only under that key, and only where nobody else
could have written it, because kernels trust the tables. Without a usable folder nothing is kept.
"""

import contextlib
import hashlib
import os
import stat
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

from fabricscope.analyzers.dpi.tables import (
    CompiledSignatures,
    pack_signatures,
    unpack_signatures,
)
from fabricscope.records import PROTOCOLS

SignatureFile = tuple[str, str]
"""Name, as errors give it, and text of a signature file."""

MAX_CACHE_BYTES: Final = 64 << 20
MAX_CACHED_FILES: Final = 8
_COMPILER_SOURCES: Final = ("checks.py", "compiler.py", "signatures.py", "tables.py")


def cache_key(sources: Sequence[SignatureFile]) -> str:
    """Return a digest of all that compiled signatures follow from: the texts and the compiler."""
    folder = files("fabricscope.analyzers.dpi")
    parts = [repr(PROTOCOLS)]
    parts += [(folder / name).read_text("utf-8") for name in _COMPILER_SOURCES]
    parts += [text for _, text in sources]
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        # The length before each part: moving text from one file to the next is a change.
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def read_cache(key: str) -> CompiledSignatures | None:
    """Return the signatures kept under `key`; None where there are none that can be trusted."""
    folder = _folder()
    if folder is None:
        return None
    try:
        with _file(folder, key).open("rb") as stream:
            facts = os.fstat(stream.fileno())
            if not stat.S_ISREG(facts.st_mode) or facts.st_size > MAX_CACHE_BYTES:
                return None
            if facts.st_uid != os.geteuid() or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return None
            data = stream.read()
    except OSError:
        return None
    return unpack_signatures(data, key)


def write_cache(key: str, signatures: CompiledSignatures) -> None:
    """Keep `signatures` under `key`, and of others the latest few; do nothing where that fails."""
    folder = _folder()
    if folder is None:
        return
    # A reader sees the whole file or none.
    path = _file(folder, key)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as stream:
                stream.write(pack_signatures(signatures, key))
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        kept = sorted(folder.glob("signatures-*.npz"), key=lambda one: one.stat().st_mtime)
        for old in kept[:-MAX_CACHED_FILES]:
            old.unlink(missing_ok=True)


def _folder() -> Path | None:
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):
        return Path(base) / "fabricscope"
    try:
        return Path.home() / ".cache" / "fabricscope"
    except RuntimeError:
        return None


def _file(folder: Path, key: str) -> Path:
    return folder / f"signatures-{key[:32]}.npz"
