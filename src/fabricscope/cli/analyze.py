"""`fabricscope analyze`: options checked, analysis run, results written."""

import gc
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fabricscope.cli.outputs import check_output, same_file, write_json
from fabricscope.errors import ConfigError
from fabricscope.pipeline.turns import MAX_THREADS

if TYPE_CHECKING:
    from fabricscope.analyzers.policy import Policy

SEVERITIES: Final = ("critical", "warning", "notice", "info")


@dataclass(frozen=True)
class Request:
    """The options as typed; see `fabricscope analyze --help`."""

    captures: list[str]
    json: str
    report: str
    fail_on: str
    link_rate_gbps: float
    idle_s: float
    active_s: float
    flow_capacity: int
    jobs: int
    signatures: tuple[str, ...]
    rules: str
    snippets: str
    quiet: bool


def run(request: Request) -> int:
    """Analyze and write what was asked for; return the exit status."""
    _check(request)
    document = _analyze(request)
    if request.json:
        write_json(document, request.json)
    if request.report:
        from fabricscope.dashboard.report import write_report

        write_report(document, request.report)
    if not request.quiet and request.json != "-":
        from rich.console import Console

        from fabricscope.cli.terminal import print_report

        print_report(document, Console())
        if request.report:
            print(f"Report written to {request.report}")
    return _status(document, request.fail_on)


def _check(request: Request) -> None:
    """Refuse what cannot work before any long work starts."""
    if request.fail_on and request.fail_on not in SEVERITIES:
        raise ConfigError(
            f"--fail-on {request.fail_on!r} is no severity: use one of {', '.join(SEVERITIES)}."
        )
    for name, value, least, most in (
        ("--link-rate", request.link_rate_gbps, 0.001, 1_000_000),
        ("--idle-timeout", request.idle_s, 0.001, 1_000_000_000),
        ("--active-timeout", request.active_s, 0, 1_000_000_000),
        ("--flow-capacity", request.flow_capacity, 65_536, 1 << 24),
        ("--jobs", request.jobs, 0, MAX_THREADS),
    ):
        if not least <= value <= most:
            raise ConfigError(f"{name} {value:,} is out of range: use {least:,} to {most:,}.")
    if request.snippets and not os.path.isdir(request.snippets):
        raise ConfigError(f"--snippets {request.snippets} is no folder; create it first.")
    if request.report == "-":
        raise ConfigError("--report - is not possible: name a file for the page.")
    for option, path in (("--json", request.json), ("--report", request.report)):
        if path and path != "-":
            check_output(option, path, request.captures)
    if request.json and same_file(request.json, request.report):
        raise ConfigError(f"--json and --report are both {request.json}: name two files.")


def _analyze(request: Request) -> dict[str, Any]:
    from fabricscope.cli.progress import Progress
    from fabricscope.compiled import load_without_compiler

    load_without_compiler()
    from fabricscope.pipeline.analysis import Options, analyze
    from fabricscope.pipeline.compilation import compile_beside, kernels_are_compiled

    quiet = request.quiet
    if not kernels_are_compiled():
        compile_beside()
        if not quiet:
            print(
                "fabricscope: compiling the kernels for this machine, once; this takes about a "
                "minute",
                file=sys.stderr,
            )
    gc.freeze()
    gc.enable()
    policy = _load_policy(request.rules)
    options = Options(
        link_rate_gbps=request.link_rate_gbps,
        idle_s=request.idle_s,
        active_s=request.active_s,
        flow_capacity=request.flow_capacity,
        threads=request.jobs or min(os.cpu_count() or 1, MAX_THREADS),
        signature_dirs=request.signatures,
    )
    with Progress(enabled=not quiet) as progress:
        analysis = analyze(request.captures, options, progress.update)
    from fabricscope.pipeline.document import build_document

    if policy is None:
        return build_document(analysis)
    document = build_document(analysis, policy)
    _deliver(policy, document, request)
    return document


def _load_policy(path: str) -> "Policy | None":
    """Read the rules before any long work, so that a mistake in them is told at once."""
    if not path:
        return None
    from fabricscope.analyzers.policy import Policy
    from fabricscope.pipeline.rules import load_rules

    return Policy(load_rules(Path(path)))


def _deliver(policy: "Policy", document: dict[str, Any], request: Request) -> None:
    """Send the alerts and say what became of them."""
    from fabricscope.analyzers.policy import Alert
    from fabricscope.pipeline.rules import deliver

    alerts = [Alert(**alert) for alert in document["alerts"]]
    folder = Path(request.snippets) if request.snippets else None
    deliveries = deliver(alerts, policy.rules, snippet_dir=folder)
    if request.quiet:
        return
    for name, count in deliveries.destinations.items():
        failed = f", {count.failed} failed ({count.reason})" if count.failed else ""
        print(f"rules: {count.delivered} alert(s) to {name}{failed}", file=sys.stderr)
    for path in deliveries.snippets:
        print(
            f"rules: wrote {path}; a passive tap cannot block, apply it yourself", file=sys.stderr
        )


def _status(document: dict[str, Any], fail_on: str) -> int:
    if not fail_on:
        return 0
    fatal = SEVERITIES[: SEVERITIES.index(fail_on) + 1]
    return int(any(finding["severity"] in fatal for finding in document["findings"]))
