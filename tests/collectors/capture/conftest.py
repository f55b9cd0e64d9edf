"""What every test of capture reading needs: to read some bytes as a file, all of them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from reference.capture_reading import Reading, read_all


@pytest.fixture
def read_bytes(tmp_path: Path) -> Callable[[bytes], Reading]:
    """Return a function that writes bytes to a file and reads it as a capture."""

    def read(data: bytes, rows_per_batch: int = 7, first_tap: int = 0) -> Reading:
        path = tmp_path / "capture"
        path.write_bytes(data)
        return read_all(str(path), rows_per_batch, first_tap)

    return read
