import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from fabricscope.analyzers.rdma import kernels
from fabricscope.pipeline.compilation import kernels_are_compiled


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that passes for the kernels' cache."""
    kernel = SimpleNamespace(stats=SimpleNamespace(cache_path=str(tmp_path)))
    monkeypatch.setattr(kernels, "follow_queue_pairs", kernel)
    return tmp_path


def test_an_empty_cache_is_not_compiled(cache: Path) -> None:
    assert not kernels_are_compiled()


def test_a_newer_index_is_compiled_and_an_older_one_is_not(cache: Path) -> None:
    index = cache / "kernels.follow_queue_pairs-212.py311.nbi"
    index.touch()
    assert kernels_are_compiled()
    source_s = Path(kernels.__file__).stat().st_mtime
    os.utime(index, (source_s - 10, source_s - 10))
    assert not kernels_are_compiled()


def test_another_kernel_does_not_count(cache: Path) -> None:
    (cache / "kernels.other-212.py311.nbi").touch()
    assert not kernels_are_compiled()


def test_without_compilation_there_is_nothing_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "follow_queue_pairs", lambda: None)
    assert kernels_are_compiled()
