"""`fabricscope availability`: what failures cost training in a month, with and without DPFR."""

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fabricscope.cli.outputs import check_output, write_json
from fabricscope.errors import ConfigError, FabricError

__all__ = ["Request", "print_study", "run"]


@dataclass(frozen=True)
class Request:
    """The options as typed; see `fabricscope availability --help`."""

    gpus: str
    recovery: str
    profile: str
    months: int
    seed: int
    interval: str
    settings: tuple[str, ...]
    json: str
    report: str
    quiet: bool


def run(request: Request) -> int:
    """Draw the months, show and write them; return the exit status."""
    from fabricscope.topology.availability.study import build_settings, run_study
    from fabricscope.topology.quantities import parse_time_ns

    if request.json and request.json != "-":
        check_output("--json", request.json, ())
    if request.report:
        check_output("--report", request.report, [request.json], "JSON document")
    cluster, rates = build_settings(dict(map(_setting, request.settings)))
    interval_s = parse_time_ns(request.interval) / 1e9 if request.interval else None
    if interval_s == 0:
        raise FabricError("--interval 0 would write checkpoints only; give a time above 0")
    gc.enable()
    from fabricscope.cli.progress import Progress

    with Progress(enabled=not request.quiet, unit="steps") as progress:
        document = run_study(
            [_count(text) for text in request.gpus.split(",")],
            [name.strip() for name in request.recovery.split(",")],
            request.months,
            request.seed,
            cluster,
            rates,
            request.profile,
            interval_s,
            progress.update,
        )
    if request.json:
        write_json(document, request.json)
    if request.report:
        from fabricscope.dashboard.availability_page import write_availability_page

        write_availability_page(document, request.report)
    if not request.quiet and request.json != "-":
        print_study(document)
    return 0


def _count(text: str) -> int:
    digits = text.strip().replace("_", "")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 12:
        raise ConfigError(f"--gpus {text[:40]!r} is no count; give such as 1024,16384.")
    return int(digits)


def _setting(text: str) -> tuple[str, object]:
    """Return key and value of `KEY=VALUE`: a number or a truth value where it is one."""
    key, separator, value = text.partition("=")
    if not separator or not key or not value:
        raise ConfigError(f"--set {text[:80]!r} is not KEY=VALUE, such as nic_timeout=16.8ms.")
    if value in ("true", "false"):
        return key, value == "true"
    try:
        return key, float(value) if any(mark in value for mark in ".e") else int(value)
    except ValueError:
        return key, value


_HEADINGS = (
    "recovery", "interruptions", "by network", "lost GPU hours", "stalls", "goodput", "checkpoint",
)  # fmt: skip


def print_study(document: Mapping[str, Any]) -> None:
    """Print one table a size: a row a scheme, in 80 columns."""
    study = document["availability"]
    results: Sequence[Mapping[str, Any]] = study["results"]
    for gpus in dict.fromkeys(result["gpus"] for result in results):
        print(f"{gpus:,} GPUs, a month (mean of {study['months']:,})")
        rows = [_HEADINGS, *(_row(result) for result in results if result["gpus"] == gpus)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for first, *others in rows:
            cells = [text.rjust(width) for text, width in zip(others, widths[1:], strict=True)]
            print("  " + "  ".join((first.ljust(widths[0]), *cells)))
        print()
    print(_explain(results))


def _row(result: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        result["recovery"],
        _mean(result["interruptions"]),
        _mean(result["network_interruptions"]),
        _mean(result["lost_gpu_hours"]),
        _amount(result["lost_by_kind"]["stall"]),
        f"{result['goodput']['mean']:.1%}",
        f"{result['checkpoint_interval_s']['daly'] / 60:,.1f} min",
    )


def _mean(value: Mapping[str, Any]) -> str:
    return f"{_amount(value['mean'])} ±{_amount(value['mean'] - value['ci95'][0])}"


def _amount(value: float) -> str:
    """Return three digits and a letter: 18.6k."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{letter}"
    return f"{value:.3g}"


def _explain(results: Sequence[Mapping[str, Any]]) -> str:
    """Return what DPFR saves, where it is compared, and how to read the table."""
    from fabricscope.dashboard.availability_summary import describe_saving

    text = (
        "± is the 95 % interval of the mean; stalls are part of the lost GPU hours; checkpoint is\n"
        "the best interval. Rates are published or assumed, of flaps above all: docs/recovery.md."
    )
    saving = describe_saving(results)
    return f"{saving}\n{text}" if saving else text
