import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fabricscope.analyzers.rdma import kernels
from fabricscope.pipeline import compilation
from fabricscope.pipeline.compilation import kernels_are_compiled

NAMES = ["pcaps/ring-allreduce.pcap", "pcaps/background.pcap.gz"]
STAY = (
    "import time; from fabricscope.pipeline import compilation as c\n"
    "c.compile_late_kernels = lambda: time.sleep(600)\n"
    "c._compile_for()"
)


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


def test_late_kernels_are_compiled_as_packets_need_them(repository: Path) -> None:
    """Whatever is compiled beside is what an analysis calls: not a second form of it."""
    code = (
        "import gc\n"
        "from fabricscope.pipeline.compilation import compile_late_kernels\n"
        "compile_late_kernels()\n"
        "from fabricscope.pipeline.analysis import Options, analyze\n"
        f"for name in {NAMES}:\n"
        "    analyze([name], Options(threads=1), lambda *_: None)\n"
        "from numba.core.dispatcher import Dispatcher\n"
        "known = [one for one in gc.get_objects() if isinstance(one, Dispatcher)]\n"
        "ours = [one for one in known if one.py_func.__module__.startswith('fabricscope.')]\n"
        "print(sum(len(one.overloads) for one in ours), *(\n"
        "    one.py_func.__name__ for one in ours if len(one.overloads) > 1\n"
        "))\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "NUMBA_DISABLE_JIT": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=repository, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    used, *twice = done.stdout.split()
    assert int(used) > 10
    assert twice == []


def test_the_process_beside_ends_with_its_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "_started", [])
    monkeypatch.setattr(compilation, "_BESIDE", STAY)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    compilation.compile_beside()
    assert compilation._started == []
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    compilation.compile_beside()
    compilation.compile_beside()
    (process,) = compilation._started
    assert process.poll() is None
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(60) == 0


def test_what_cannot_be_started_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "_started", [])
    monkeypatch.setattr(sys, "executable", "/nowhere")
    compilation.compile_beside()
    assert compilation._started == []
