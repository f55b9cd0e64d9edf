"""The tests mirror the sources, so that nobody has to search for the test of a module."""

import ast
from pathlib import Path

import pytest

FOLDERS = ("analyzers", "collectors", "dashboard", "topology", "src/fabricscope")

_BY_TABLE = "runs inside the queue-pair table, which tests/analyzers/rdma compares with its twin"
_BY_FLOW_TABLE = "runs inside the flow table, which tests/analyzers/flows compares with its twin"
_BY_ENGINE = "runs inside the DPI engine, which tests/analyzers/dpi tests"
_BY_TRUTH = "tests/test_truth_faults.py checks what it finds against generated truth"
_BY_PACKETS = "runs inside the packet engine, which tests/topology compares with its slow twin"
_BY_FLOWS = "runs inside the flow engine, which tests/topology compares with formulas and a twin"
_BY_SCENARIOS = "tests/topology runs whole scenarios through it"
_BY_COMMAND = "tests/cli/test_live.py calls the commands"
_BY_SESSION = "tests/pipeline/live/test_session.py runs captures through it"
EXCEPTIONS: dict[str, str] = {
    "collectors/mirror/kernels.py": "tests/collectors/mirror/test_ring.py reads real rings with it",
    **dict.fromkeys(
        (
            f"topology/packet_level/{name}.py"
            for name in (
                "kernels",
                "changes/kernels",
                "conservation",
                "endpoints/kernels",
                "events/kernels",
                "forwarding/kernels",
                "network",
                "queues/kernels",
                "recovery/kernels",
                "stepping",
                "transport/kernels",
            )
        ),
        _BY_PACKETS,
    ),
    "collectors/counters/reading.py": "tests/collectors/counters/test_ports.py reads with it",
    "src/fabricscope/cli/dashboard_commands.py": "tests/cli/test_users.py calls the commands",
    "src/fabricscope/cli/simulation_commands.py": "tests/cli/test_simulate.py calls the commands",
    "topology/flow_level/paths/kernels.py": _BY_FLOWS,
    "topology/flow_level/transport/kernels.py": _BY_FLOWS,
    **dict.fromkeys(
        (f"topology/{name}.py" for name in ("compilation", "measuring", "recording", "remarks")),
        _BY_SCENARIOS,
    ),
    **dict.fromkeys(
        (f"src/fabricscope/cli/{name}.py" for name in ("live_commands", "live_view", "store")),
        _BY_COMMAND,
    ),
    "src/fabricscope/pipeline/live/differences.py": _BY_SESSION,
    "src/fabricscope/pipeline/live/links.py": _BY_SESSION,
    "src/fabricscope/pipeline/live/samples.py": _BY_SESSION,
    "src/fabricscope/pipeline/live/transfers.py": "tests/pipeline/live/test_counts.py adds them up",
    "src/fabricscope/storing.py": "holds no code, only what a store is to its users",
    "src/fabricscope/pipeline/live/training.py": _BY_SESSION,
    **dict.fromkeys(
        (
            f"analyzers/rdma/{package}/kernels.py"
            for package in ("lookup", "messages", "reads", "recovery", "sequence", "settlement")
        ),
        _BY_TABLE,
    ),
    "analyzers/flows/slots/kernels.py": _BY_FLOW_TABLE,
    "analyzers/rdma/management.py": _BY_TRUTH,
    "analyzers/rdma/results.py": _BY_TRUTH,
    "analyzers/findings/connections.py": _BY_TRUTH,
    "analyzers/findings/rdma.py": _BY_TRUTH,
    "analyzers/dpi/kernels.py": _BY_ENGINE,
    "analyzers/dpi/heads/kernels.py": _BY_ENGINE,
    "analyzers/dpi/verdicts.py": _BY_ENGINE,
}
"""Modules that need no tests of their own, each with the reason."""


def _list_sources(repository: Path) -> list[str]:
    """List modules with something to test: one that holds a function, packages' own files aside."""
    modules = []
    for folder in FOLDERS:
        for path in sorted((repository / folder).rglob("*.py")):
            name = path.relative_to(repository).as_posix()
            linked = any(parent.is_symlink() for parent in path.parents)
            if path.name == "__init__.py" or linked or not _has_function(path):
                continue
            modules.append(name)
    return modules


def _has_function(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in ast.walk(tree))


def _twins(module: str) -> list[str]:
    """Return where the tests of a module may be: its own file, or its whole folder's."""
    path = Path(module.removeprefix("src/fabricscope/"))
    folder = Path("tests") / path.parent
    twins = [folder / f"test_{path.name}"]
    if path.parent.name:
        twins.append(folder.parent / f"test_{folder.name}.py")
    return [twin.as_posix() for twin in twins]


def _import_name(module: str) -> str:
    path = Path(module.removeprefix("src/fabricscope/")).with_suffix("")
    return ".".join(("fabricscope", *path.parts))


def _imported_by_tests(repository: Path) -> set[str]:
    """Return every module that a test imports, or imports something from."""
    names: set[str] = set()
    for path in (repository / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
                names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def test_every_module_has_tests(repository: Path) -> None:
    """A module has tests of its name, or a test of its neighbours imports it."""
    imported = _imported_by_tests(repository)
    missing = [
        f"{module}: neither {' nor '.join(_twins(module))}, and no test imports it"
        for module in _list_sources(repository)
        if module not in EXCEPTIONS
        and _import_name(module) not in imported
        and not any((repository / twin).is_file() for twin in _twins(module))
    ]
    assert not missing, "modules without tests:\n" + "\n".join(missing)


def test_exceptions_are_still_needed(repository: Path) -> None:
    sources = set(_list_sources(repository))
    assert set(EXCEPTIONS) <= sources, "an exception names a module that is gone"


@pytest.mark.parametrize(
    ("module", "twins"),
    [
        (
            "collectors/capture/pcap.py",
            ["tests/collectors/capture/test_pcap.py", "tests/collectors/test_capture.py"],
        ),
        ("src/fabricscope/cli/screen.py", ["tests/cli/test_screen.py", "tests/test_cli.py"]),
        ("src/fabricscope/records.py", ["tests/test_records.py"]),
    ],
)
def test_twins_are_named_by_path(module: str, twins: list[str]) -> None:
    assert _twins(module) == twins
