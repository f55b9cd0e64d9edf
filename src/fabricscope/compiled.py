"""Compiled kernels on disk: drop those that were compiled from older sources, load the rest fast.

Numba's cache looks at the file of a function alone, not at the files that it calls into or takes
constants from; a kernel whose callee changed would go on running the old code.
"""

import contextlib
import functools
import os
import re
import sys
from pathlib import Path
from typing import Any, Final

_IMPORT: Final = re.compile(r"^from (fabricscope[.\w]*) import (\([^)]*\)|[^\n]*)", re.MULTILINE)
_RECORD: Final = "kernels.sources"
"""What the last look found, in the package's `__pycache__`: a line for each folder and each source
that a kernel depends on, with the time of its last change in ns."""


@functools.cache
def forget_outdated(root: Path | None = None) -> int:
    """Delete cached kernels that are older than a source they depend on; return how many.

    root: the package's folder. Looks once a process, and closely only when a source changed since
    the last look. Does nothing when NUMBA_CACHE_DIR puts the cache elsewhere.
    """
    if os.environ.get("NUMBA_CACHE_DIR"):
        return 0
    package = root or Path(__file__).parent
    record = package / "__pycache__" / _RECORD
    if _is_unchanged(record, package):
        return 0
    with contextlib.suppress(OSError):
        record.parent.mkdir(exist_ok=True)  # before folders are dated: it changes one of them
    changes = {folder: os.stat(package / folder).st_mtime_ns for folder in _folders(package)}
    sources: dict[str, tuple[str, int, list[str]]] = {}
    forgotten = 0
    for folder in [one for one in changes if (package / one / "kernels.py").is_file()]:
        path = package / folder
        newest_ns = _newest_ns(_module(path / "kernels.py", package), package, sources)
        for index in path.glob("__pycache__/kernels.*.nbi"):
            # Another process that looks at the same time may have been faster.
            with contextlib.suppress(FileNotFoundError):
                if index.stat().st_mtime_ns < newest_ns:
                    index.unlink()
                    forgotten += 1
    changes.update((path, changed_ns) for path, changed_ns, _ in sources.values() if path)
    _write_record(record, changes)
    return forgotten


def load_without_compiler() -> None:
    """Let Numba load cached kernels without setting up its compiler, and only what runs of them.

    Before it loads anything Numba registers everything that it can compile, which takes a fifth
    of a second; machine code from the cache needs its run-time library only. A kernel that is not
    in the cache sets the compiler up by itself. Beside the machine code lies what others link when
    they are compiled, which is the greater part and is read only then. Any other Numba than the
    one this was written for is left as it is. Called before kernels are imported, it spares each
    of them a look at whether its folder can be written to.
    """
    numba = _import_numba()
    from numba.core import caching, codegen
    from numba.core.runtime.nrt import rtsys

    if not numba.__version__.startswith("0.68.") or hasattr(codegen.CPUCodeLibrary, "to_link"):
        return

    def load_overload(cache: Any, signature: Any, context: Any) -> Any:
        rtsys.initialize(context)
        with cache._guard_against_spurious_io_errors():
            return cache._load_overload(signature, context)

    setattr(caching.Cache, "load_overload", load_overload)  # noqa: B010 - mypy forbids the other
    look: Any = caching._CacheLocator.ensure_cache_path
    looked: set[str] = set()

    def ensure_cache_path(locator: Any) -> None:
        path = locator.get_cache_path()
        if path not in looked:
            look(locator)
            looked.add(path)

    setattr(caching._CacheLocator, "ensure_cache_path", ensure_cache_path)  # noqa: B010
    _load_linkable_late(codegen)


def _import_numba() -> Any:
    """Import Numba, without YAML where it has no settings file to read with it."""
    hidden = not {"numba", "yaml"} & sys.modules.keys() and not os.path.exists(".numba_config.yaml")
    if hidden:
        sys.modules["yaml"] = None  # type: ignore[assignment]
    try:
        import numba
    finally:
        if hidden:
            del sys.modules["yaml"]
    return numba


def _load_linkable_late(codegen: Any) -> None:
    """Let a library from the cache read the part that others link when one asks for it."""
    library = codegen.CPUCodeLibrary
    jit_library = codegen.JITCodeLibrary
    read_all = library._unserialize.__func__
    for_linking = library._get_module_for_linking
    address_of = jit_library.get_pointer_to_function
    library.to_link = None

    def unserialize(cls: Any, target: Any, state: Any) -> Any:
        name, kind, data = state
        if kind != "object" or not issubclass(cls, jit_library):
            return read_all(cls, target, state)
        made = target.create_library(name)
        made.enable_object_caching()
        made._set_compiled_object(data[0])
        made.to_link = data[1]
        made._finalize_final_module()
        return made

    def get_module_for_linking(self: Any) -> Any:
        if self.to_link is not None:
            self._shared_module = codegen.ll.parse_bitcode(self.to_link)
            self.to_link = None
            self._codegen._engine._load_defined_symbols(self._shared_module)
        return for_linking(self)

    def get_pointer_to_function(self: Any, name: str) -> Any:
        if self.to_link is not None:  # what is asked of machine code from the cache is in it
            return self._codegen._engine.get_function_address(name)
        return address_of(self, name)

    library._unserialize = classmethod(unserialize)
    library._get_module_for_linking = get_module_for_linking
    jit_library.get_pointer_to_function = get_pointer_to_function


def _is_unchanged(record: Path, package: Path) -> bool:
    """Tell whether everything of the record is as it was."""
    try:
        lines = record.read_text(encoding="utf-8").splitlines()
        for line in lines:
            changed_ns, _, name = line.partition(" ")
            if os.stat(f"{package}/{name}").st_mtime_ns != int(changed_ns):
                return False
    except (OSError, ValueError):
        return False
    return bool(lines)


def _write_record(record: Path, changes: dict[str, int]) -> None:
    """Write the record whole; a folder that cannot be written to holds no kernels either."""
    beside = record.with_name(f"{_RECORD}.{os.getpid()}")
    with contextlib.suppress(OSError):
        lines = "".join(f"{changed_ns} {name}\n" for name, changed_ns in changes.items())
        beside.write_text(lines, encoding="utf-8")
        os.replace(beside, record)


def _folders(package: Path) -> list[str]:
    """Return the package's folders, itself as ".", as paths from it."""
    found = ["."]
    for folder in found:
        with os.scandir(package / folder) as entries:
            found += [
                os.path.join(folder, entry.name)
                for entry in entries
                if "." not in entry.name and entry.name != "__pycache__" and entry.is_dir()
            ]
    return found


def _module(path: Path, package: Path) -> str:
    return ".".join(("fabricscope", *path.relative_to(package).with_suffix("").parts))


def _newest_ns(module: str, package: Path, known: dict[str, tuple[str, int, list[str]]]) -> int:
    """Return the time of the last change of `module` or anything it imports from the package."""
    waiting = [module]
    met: set[str] = set()
    newest_ns = 0
    while waiting:
        name = waiting.pop()
        if name in met:
            continue
        met.add(name)
        if name not in known:
            known[name] = _look_at(name, package)
        _, changed_ns, imports = known[name]
        newest_ns = max(newest_ns, changed_ns)
        waiting.extend(imports)
    return newest_ns


def _look_at(module: str, package: Path) -> tuple[str, int, list[str]]:
    """Return a module's path in the package, its last change and what it imports; "" if none."""
    stem = "/".join(module.split(".")[1:])
    for name in (f"{stem}.py", f"{stem}/__init__.py"):
        path = package / name
        if path.is_file():
            changed_ns = path.stat().st_mtime_ns
            return name, changed_ns, _imports(path.read_text(encoding="utf-8"))
    return "", 0, []


def _imports(source: str) -> list[str]:
    """Return the modules imported from, and what is imported, which may be modules as well."""
    return [
        name
        for module, names in _IMPORT.findall(source)
        for name in (module, *(f"{module}.{part}" for part in re.findall(r"\w+", names)))
    ]
