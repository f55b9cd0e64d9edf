"""A file that one process at a time holds."""

from pathlib import Path

import pytest

from fabricscope.claims import claim


def test_a_claim_keeps_others_out_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with claim(path), pytest.raises(BlockingIOError):
        claim(path)
    claim(path).close()
    with pytest.raises(FileNotFoundError):
        claim(tmp_path / "none" / "lock")
