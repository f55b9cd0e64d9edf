"""A file that one process at a time holds, to keep others out of what lies beside it."""

import fcntl
import os
from pathlib import Path
from typing import IO

__all__ = ["claim"]


def claim(path: Path) -> IO[bytes]:
    """Return the open file, made where it was not; closing it, or any end of the process, frees it.

    Raises BlockingIOError while another process holds it, OSError where it cannot be opened or the
    file system has no locks.
    """
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644), "rb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    return file
