import os
import subprocess
import sys
from pathlib import Path

import pytest

from fabricscope import compiled
from fabricscope.compiled import forget_outdated, load_without_compiler

OLD_S, NOW_S, NEW_S = 1_000_000_000, 1_100_000_000, 1_200_000_000
SOURCES = {
    "records.py": "",
    "errors.py": "",
    "analyzers/first/kernels.py": "from fabricscope.records import Packets\n",
    "analyzers/second/kernels.py": "from fabricscope.analyzers.first.kernels import follow\n",
    "analyzers/third/kernels.py": "import numpy\n",
    "analyzers/fourth/layout.py": "",
    "analyzers/fourth/tables.py": "",
    "analyzers/fourth/kernels.py": (
        "from fabricscope.analyzers.fourth import layout\n"
        "from fabricscope.analyzers.fourth import (\n    tables as t,\n)\n"
    ),
}
INDEXES = (
    "analyzers/first/__pycache__/kernels.follow-10.py311.nbi",
    "analyzers/second/__pycache__/kernels.lead-20.py311.nbi",
    "analyzers/third/__pycache__/kernels.stay-30.py311.nbi",
    "analyzers/fourth/__pycache__/kernels.last-40.py311.nbi",
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a small package whose kernels were all compiled after their sources changed."""
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    for name, text in SOURCES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (OLD_S, OLD_S))
    for name in INDEXES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (NOW_S, NOW_S))
    return tmp_path


@pytest.fixture(autouse=True)
def _look_again() -> None:
    """The module looks once a process; each test looks anew."""
    forget_outdated.cache_clear()


def _left(package: Path) -> list[int]:
    return [place for place, name in enumerate(INDEXES, 1) if (package / name).exists()]


@pytest.mark.parametrize(
    ("changed", "left"),
    [
        (None, [1, 2, 3, 4]),
        ("errors.py", [1, 2, 3, 4]),
        ("records.py", [3, 4]),
        ("analyzers/first/kernels.py", [3, 4]),
        ("analyzers/second/kernels.py", [1, 3, 4]),
        ("analyzers/third/kernels.py", [1, 2, 4]),
        ("analyzers/fourth/layout.py", [1, 2, 3]),
        ("analyzers/fourth/tables.py", [1, 2, 3]),
    ],
)
def test_what_depends_on_a_change_is_forgotten(
    package: Path, changed: str | None, left: list[int]
) -> None:
    if changed:
        os.utime(package / changed, (NEW_S, NEW_S))
    assert forget_outdated(package) == len(INDEXES) - len(left)
    assert _left(package) == left


def test_what_another_process_forgot_meanwhile_is_no_trouble(package: Path) -> None:
    # Listed, but no longer there when it is looked at: what a dangling link is.
    (package / "analyzers/first/__pycache__/kernels.gone-1.py311.nbi").symlink_to("nowhere")
    os.utime(package / "analyzers/first/kernels.py", (NEW_S, NEW_S))
    assert forget_outdated(package) == 2


def test_a_cache_elsewhere_is_left_alone(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(package))
    os.utime(package / "records.py", (NEW_S, NEW_S))
    assert forget_outdated(package) == 0
    assert _left(package) == [1, 2, 3, 4]


def test_a_package_that_was_never_compiled_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "records.py").touch()
    assert forget_outdated(tmp_path) == 0


def test_what_was_looked_at_is_not_looked_at_again(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert forget_outdated(package) == 0
    forget_outdated.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(compiled, "_look_at", None)
        assert forget_outdated(package) == 0
    forget_outdated.cache_clear()
    os.utime(package / "records.py", (NEW_S, NEW_S))
    assert forget_outdated(package) == 2
    assert _left(package) == [3, 4]


def test_kernels_that_come_later_are_looked_at(package: Path) -> None:
    assert forget_outdated(package) == 0
    later = package / "analyzers/later"
    (later / "__pycache__").mkdir(parents=True)
    (later / "kernels.py").write_text("from fabricscope.errors import FabricscopeError\n")
    index = later / "__pycache__/kernels.go-1.py311.nbi"
    index.touch()
    for time_s, forgotten in ((OLD_S, 0), (NEW_S, 1)):
        os.utime(package / "errors.py", (time_s, time_s))
        os.utime(later / "kernels.py", (OLD_S, OLD_S))
        os.utime(index, (NOW_S, NOW_S)) if index.exists() else None
        forget_outdated.cache_clear()
        assert forget_outdated(package) == forgotten
    assert not index.exists()


@pytest.mark.parametrize("text", ["", "x records.py\n", "17 none.py\n", "\xff"])
def test_a_record_that_says_nothing_is_made_anew(package: Path, text: str) -> None:
    record = package / "__pycache__/kernels.sources"
    record.parent.mkdir()
    record.write_text(text, encoding="latin-1")
    os.utime(package / "records.py", (NEW_S, NEW_S))
    assert forget_outdated(package) == 2
    assert "records.py" in record.read_text(encoding="utf-8")
    assert list(record.parent.iterdir()) == [record]


def test_loading_without_the_compiler_can_be_asked_for_twice() -> None:
    load_without_compiler()
    load_without_compiler()


CALLEE = """
from numba import njit
@njit(cache=True)
def twice(x):
    return 2 * x + OFFSET
OFFSET = 1
"""
CALLER = """
from numba import njit
from callee import twice
@njit(cache=True)
def follow(x):
    return twice(x) + 3
"""
RUN = """
from fabricscope.compiled import load_without_compiler
load_without_compiler()
import callee, caller
{first}
print(caller.follow(5), caller.follow.stats.cache_hits, callee.twice.stats.cache_hits)
"""


def test_kernels_from_the_cache_run_and_are_linked_to_others(tmp_path: Path) -> None:
    (tmp_path / "callee.py").write_text(CALLEE)
    (tmp_path / "caller.py").write_text(CALLER)
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        "NUMBA_DISABLE_JIT": "0",
        "PYTHONPATH": os.pathsep.join((str(tmp_path), *sys.path)),
    }

    def run(first: str) -> str:
        code = RUN.format(first=first)
        command = [sys.executable, "-c", code]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        ).stdout  # fmt: skip

    assert run("").split() == ["14", "Counter()", "Counter()"]
    assert run("").startswith("14 Counter({(int64,): 1})")
    for index in tmp_path.glob("cache/*/caller.*.nbi"):
        index.unlink()
    # The callee comes from the cache twice: called by itself, and linked into what is compiled.
    linked = run("assert callee.twice(5) == 11")
    assert linked.startswith("14 Counter() Counter({(int64,): 1})")


def test_numba_comes_without_yaml_unless_settings_are_written_in_it(tmp_path: Path) -> None:
    code = (
        "import sys; from fabricscope.compiled import load_without_compiler\n"
        "load_without_compiler(); print('yaml' in sys.modules, end=' ')\n"
        "import yaml; print(yaml.safe_load('1'))"
    )
    for settings, loaded in ((False, "False"), (True, "True")):
        if settings:
            (tmp_path / ".numba_config.yaml").write_text("{}\n")
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.split() == [loaded, "1"]
