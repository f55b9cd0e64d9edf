"""The captures that the site may open: those of the server's folder, and uploaded ones.

A capture has an id that an address can hold: its place below the folder. Whatever leads out of it,
and whatever is no capture by its name, opens nothing.
"""

import os
import re
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from fabricscope.dashboard.plain_text import neutralise
from fabricscope.errors import ConfigError

__all__ = ["Capture", "Shelf"]

_SUFFIX: Final = re.compile(
    r"\.(pcap|pcapng|cap|ntar|snoop|erf|dmp)(\.(gz|zst|xz|bz2|lz4))?$", re.IGNORECASE
)
_UPLOADED: Final = "upload/"
_LISTED: Final = 2_000
_DEPTH: Final = 4
UPLOADS_KEPT: Final = 8
_NAME_LIMIT: Final = 100
_CHUNK_FLUSH_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Capture:
    """id: of addresses; signature: changes with the content; modified_s: since the epoch."""

    id: str
    path: Path
    size_bytes: int
    modified_s: float

    @property
    def name(self) -> str:
        """Return the name for people."""
        return neutralise(self.path.name if self.uploaded else self.id, 200)

    @property
    def uploaded(self) -> bool:
        """Return whether it came through the browser."""
        return self.id.startswith(_UPLOADED)

    @property
    def signature(self) -> tuple[str, int, float]:
        """Return what tells this content apart from others."""
        return str(self.path), self.size_bytes, self.modified_s


class Shelf:
    """Captures of `folder` (None for none), and the last uploads, in a folder of its own."""

    def __init__(self, folder: Path | None, upload_limit_bytes: int) -> None:
        """Look at nothing yet; the folder of uploads is made with the first one."""
        self.folder = folder
        self.limit_bytes = upload_limit_bytes
        self._lock = threading.Lock()
        self._uploads: Path | None = None
        self._number = 0

    def captures(self) -> list[Capture]:
        """Return the captures, uploads first, then by name."""
        found = self._uploaded()
        if self.folder is not None:
            found += self._walk(self.folder)
        return found[:_LISTED]

    def find(self, capture_id: str) -> Capture | None:
        """Return the capture with this id, None for anything else.

        Only the one file is looked at: pages ask several times a second.
        """
        place = PurePosixPath(capture_id)
        plain = place.as_posix() == capture_id and not place.is_absolute()
        if not plain or "\0" in capture_id or ".." in place.parts or not place.name:
            return None
        if self._uploads is not None and capture_id.startswith(_UPLOADED):
            path = self._uploads.joinpath(*place.parts[1:])
            if len(place.parts) == 3 and path.suffix != ".part":
                found = _look(path, capture_id)
                if found is not None:
                    return found
        if self.folder is None or len(place.parts) > _DEPTH + 1:
            return None
        return self._find_below(self.folder.resolve(), capture_id)

    def _find_below(self, root: Path, capture_id: str) -> Capture | None:
        """Return the capture of the folder, if the walk would come by it."""
        path = root / capture_id
        try:
            inside = path.resolve().is_relative_to(root) and path.parent.resolve() == path.parent
        except OSError:
            return None
        return _look(path, capture_id) if inside and _SUFFIX.search(path.name) else None

    def _walk(self, folder: Path) -> list[Capture]:
        """Return captures below `folder`; links that lead out of it are passed over."""
        root = folder.resolve()
        found: list[Capture] = []
        for place, folders, names in os.walk(root):
            depth = len(Path(place).relative_to(root).parts)
            folders[:] = sorted(folders) if depth < _DEPTH else []
            for name in sorted(names):
                path = Path(place, name)
                if _SUFFIX.search(name) and path.resolve().is_relative_to(root):
                    one = _look(path, path.relative_to(root).as_posix())
                    found += [one] if one is not None else []
            if len(found) >= _LISTED:
                break
        return found

    def _uploaded(self) -> list[Capture]:
        if self._uploads is None:
            return []
        files = sorted(self._uploads.glob("*/*"), key=lambda path: path.parent.name, reverse=True)
        looked = (
            _look(path, f"{_UPLOADED}{path.parent.name}/{path.name}")
            for path in files
            if not path.name.endswith(".part")
        )
        return [one for one in looked if one is not None]

    async def receive(self, name: str, chunks: AsyncIterator[bytes]) -> Capture:
        """Keep an upload and return it; the oldest beyond UPLOADS_KEPT are deleted.

        Raises ConfigError when it is too large or empty.
        """
        target = self._make_place(name)
        part = target.with_name(target.name + ".part")
        size = 0
        try:
            with part.open("wb", buffering=_CHUNK_FLUSH_BYTES) as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > self.limit_bytes:
                        raise ConfigError(
                            f"The file is larger than the {self.limit_bytes >> 20:,} MiB that may "
                            "be uploaded; put it into the server's capture folder instead."
                        )
                    file.write(chunk)
            if not size:
                raise ConfigError("The file is empty; choose another one.")
            part.rename(target)
        except BaseException:
            shutil.rmtree(target.parent, ignore_errors=True)
            raise
        found = _look(target, f"{_UPLOADED}{target.parent.name}/{target.name}")
        assert found is not None
        return found

    def _make_place(self, name: str) -> Path:
        """Return where an upload goes; its name keeps only what is harmless in a path."""
        plain = re.sub(r"[^\w.-]+", "_", Path(name.replace("\\", "/")).name, flags=re.ASCII)
        plain = plain.lstrip(".")[-_NAME_LIMIT:] or "upload"
        with self._lock:
            if self._uploads is None:
                self._uploads = Path(tempfile.mkdtemp(prefix="fabricscope-uploads-"))
            self._number += 1
            place = self._uploads / f"{self._number:06d}"
            place.mkdir()
            for old in sorted(self._uploads.iterdir())[:-UPLOADS_KEPT]:
                shutil.rmtree(old, ignore_errors=True)
        return place / plain

    def close(self) -> None:
        """Delete the uploads."""
        with self._lock:
            uploads, self._uploads = self._uploads, None
        if uploads is not None:
            shutil.rmtree(uploads, ignore_errors=True)


def _look(path: Path, capture_id: str) -> Capture | None:
    """Return the file as a capture; None for what is gone or no regular file."""
    try:
        if not path.is_file():
            return None
        facts = path.stat()
    except OSError:
        return None
    return Capture(capture_id, path, facts.st_size, facts.st_mtime)
