"""Compiled kernels on disk: drop those that were compiled from older sources, load the rest fast.

Numba's cache looks at the file of a function alone, not at the files that it calls into or takes
constants from; a kernel whose callee changed would go on running the old code.
"""

import functools
import os
import re
from pathlib import Path
from typing import Any, Final

_IMPORT: Final = re.compile(r"^from (fabricscope[.\w]*) import (\([^)]*\)|[^\n]*)", re.MULTILINE)


@functools.cache
def forget_outdated(root: Path | None = None) -> int:
    """Delete cached kernels that are older than a source they depend on; return how many.

    root: the package's folder. Looks once a process. Does nothing when NUMBA_CACHE_DIR puts the
    cache elsewhere.
    """
    if os.environ.get("NUMBA_CACHE_DIR"):
        return 0
    package = root or Path(__file__).parent
    sources, indexes = _files(str(package))
    if not indexes or max(sources.values()) <= min(indexes.values()):
        return 0
    known: dict[str, tuple[float, list[str]]] = {}
    forgotten = 0
    for folder in {Path(path).parent.parent for path in indexes}:
        newest_s = _newest_s(_module(folder / "kernels.py", package), package, known)
        for index in folder.glob("__pycache__/kernels.*.nbi"):
            if index.stat().st_mtime < newest_s:
                index.unlink(missing_ok=True)
                forgotten += 1
    return forgotten


def load_without_compiler() -> None:
    """Let Numba load cached kernels without first setting up its compiler.

    Before it loads anything Numba registers everything that it can compile, which takes a fifth
    of a second; machine code from the cache needs its run-time library only. A kernel that is not
    in the cache sets the compiler up by itself. Any other Numba than the one this was written for
    is left as it is.
    """
    import numba
    from numba.core import caching
    from numba.core.runtime.nrt import rtsys

    if not numba.__version__.startswith("0.68."):
        return

    def load_overload(cache: Any, signature: Any, context: Any) -> Any:
        rtsys.initialize(context)
        with cache._guard_against_spurious_io_errors():
            return cache._load_overload(signature, context)

    setattr(caching.Cache, "load_overload", load_overload)  # noqa: B010 - mypy forbids the other


def _files(folder: str) -> tuple[dict[str, float], dict[str, float]]:
    """Return the times of the sources and of the cached kernels below `folder`."""
    sources: dict[str, float] = {}
    indexes: dict[str, float] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                sources[entry.path] = entry.stat().st_mtime
            elif entry.name.endswith(".nbi"):
                indexes[entry.path] = entry.stat().st_mtime
            elif "." not in entry.name and entry.is_dir():
                for mine, theirs in zip((sources, indexes), _files(entry.path), strict=True):
                    mine.update(theirs)
    return sources, indexes


def _module(path: Path, package: Path) -> str:
    return ".".join(("fabricscope", *path.relative_to(package).with_suffix("").parts))


def _newest_s(module: str, package: Path, known: dict[str, tuple[float, list[str]]]) -> float:
    """Return the time of the last change of `module` or anything it imports from the package."""
    waiting = [module]
    met: set[str] = set()
    newest_s = 0.0
    while waiting:
        name = waiting.pop()
        if name in met:
            continue
        met.add(name)
        if name not in known:
            known[name] = _look_at(name, package)
        changed_s, imports = known[name]
        newest_s = max(newest_s, changed_s)
        waiting.extend(imports)
    return newest_s


def _look_at(module: str, package: Path) -> tuple[float, list[str]]:
    stem = package.joinpath(*module.split(".")[1:])
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.is_file():
            return path.stat().st_mtime, _imports(path.read_text(encoding="utf-8"))
    return 0.0, []


def _imports(source: str) -> list[str]:
    """Return the modules imported from, and what is imported, which may be modules as well."""
    return [
        name
        for module, names in _IMPORT.findall(source)
        for name in (module, *(f"{module}.{part}" for part in re.findall(r"\w+", names)))
    ]
