"""`fabricscope simulate`: a scenario from a file or from options, run, shown and written."""

import gc
import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fabricscope.cli.outputs import check_output, same_file, write_json
from fabricscope.errors import ConfigError

if TYPE_CHECKING:
    from fabricscope.topology.scenario_file import Source

MAX_PROCESSES: Final = 64


@dataclass(frozen=True)
class Request:
    """The options as typed; see `fabricscope simulate --help`."""

    scenario: str
    fabric: str
    fail: tuple[str, ...]
    workload: tuple[str, ...]
    workload_from: str
    recovery: str
    profile: str
    balancing: str
    engine: str
    repetitions: int
    seed: int
    settings: tuple[str, ...]
    sweep: tuple[str, ...]
    tap: tuple[str, ...]
    jobs: int
    json: str
    report: str
    capture: str
    quiet: bool


def print_schema() -> None:
    """Print the JSON schema of scenario files."""
    from fabricscope.topology.scenario_file import write_schema

    print(json.dumps(write_schema(), indent=2))


def run(request: Request) -> int:
    """Simulate and write what was asked for; return the exit status."""
    from fabricscope.topology.simulation import simulate
    from fabricscope.topology.sweep import simulate_sweep

    _check(request)
    content, source = _read(request)
    gc.enable()
    _announce_compilation(request.quiet)
    from fabricscope.cli.progress import Progress

    processes = request.jobs or os.cpu_count() or 1
    sweep = dict(_sweep(text) for text in request.sweep)
    with Progress(enabled=not request.quiet, unit="runs") as progress:
        if sweep:
            document = simulate_sweep(content, source, sweep, processes, progress.update)
        else:
            document = simulate(content, source, processes, progress.update, request.capture)
    _deliver(document, request)
    return 0


def _deliver(document: dict[str, Any], request: Request) -> None:
    if request.json:
        write_json(document, request.json)
    if request.report:
        from fabricscope.dashboard.simulation import write_simulation_report

        write_simulation_report(document, request.report)
    if request.quiet or request.json == "-":
        return
    from rich.console import Console

    from fabricscope.cli.failover import print_simulation

    print_simulation(document, Console())
    if request.report:
        print(f"Report written to {request.report}")
    if request.capture:
        print(
            f"Capture written to {request.capture}: "
            f"{document['capture']['packets']:,} packets at {document['capture']['taps']} taps; "
            f"read it with `fabricscope analyze {request.capture}`"
        )


def _check(request: Request) -> None:
    """Refuse what cannot work before any work starts."""
    if not request.scenario and not request.fabric:
        raise ConfigError(
            "simulate needs a SCENARIO.toml, or --fabric with --workload and --fail, such as "
            "--fabric leaf-spine:8x4x16@400G --workload allreduce:ring:1GiB "
            "--fail leaf3-spine1@1ms."
        )
    if not 0 <= request.jobs <= MAX_PROCESSES:
        raise ConfigError(f"--jobs {request.jobs} is out of range: use 0 to {MAX_PROCESSES}.")
    if request.workload and request.workload_from:
        raise ConfigError("--workload and --workload-from exclude each other: give one of them.")
    if request.report == "-" or request.capture == "-":
        raise ConfigError("--report and --capture write files: name one instead of -.")
    if request.capture and request.sweep:
        raise ConfigError("--capture records one run: leave out --sweep.")
    read = [request.scenario] if request.scenario else []
    outputs = {
        "--json": request.json,
        "--report": request.report,
        "--capture": request.capture,
    }
    for option, path in outputs.items():
        if path and path != "-":
            check_output(option, path, read, "scenario")
    named = [(option, path) for option, path in outputs.items() if path]
    for place, (option, path) in enumerate(named):
        for other, second in named[place + 1 :]:
            if same_file(path, second):
                raise ConfigError(f"{option} and {other} are both {path}: name two files.")


def _read(request: Request) -> "tuple[dict[str, Any], Source]":
    """Return the keys of the scenario, options over those of the file, and where each is from."""
    from fabricscope.topology.scenario_file import Source, override, parse_setting, read_content

    content = read_content(request.scenario) if request.scenario else {}
    options: dict[str, str] = {}
    given: dict[str, tuple[str, Any]] = {
        "fabric": ("--fabric", request.fabric),
        "failures": ("--fail", list(request.fail)),
        "workload": ("--workload", list(request.workload)),
        "recovery": ("--recovery", _names(request.recovery)),
        "profile": ("--profile", request.profile),
        "balancing": ("--balancing", request.balancing),
        "engine": ("--engine", request.engine),
        "repetitions": ("--repetitions", request.repetitions),
        "taps": ("--tap", list(request.tap)),
    }
    if request.seed >= 0:
        content["seed"] = request.seed
        options["seed"] = "--seed"
    for key, (option, value) in given.items():
        if value:
            content[key] = value
            options[key] = option
    if request.workload_from:
        from fabricscope.cli.workload import read_workload

        content["workload"] = read_workload(request.workload_from, request.quiet)
        options["workload"] = f"--workload-from {request.workload_from}"
    source = Source(request.scenario, options)
    for text in request.settings:
        key, values = parse_setting(text, "--set")
        override(content, key, values[0] if len(values) == 1 else values, source)
        source.options[key.split(".", 1)[0]] = f"--set {text}"
    return content, source


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _sweep(text: str) -> tuple[str, list[object]]:
    from fabricscope.topology.scenario_file import parse_setting

    return parse_setting(text, "--sweep")


def _announce_compilation(quiet: bool) -> None:
    from fabricscope.topology.compilation import kernels_are_compiled

    if not quiet and not kernels_are_compiled():
        print(
            "fabricscope: compiling the simulator for this machine, once; this takes about a "
            "minute",
            file=sys.stderr,
            flush=True,
        )
