"""`fabricscope topology`: show and check a fabric, build one, read and write files of fabrics."""

import sys
from pathlib import Path
from typing import Final

from rich.console import Console

from fabricscope.cli.fabric_drawing import draw_fabric
from fabricscope.cli.outputs import check_output
from fabricscope.cli.screen import SEVERITY_STYLES, Screen
from fabricscope.dashboard.columns import build_table
from fabricscope.dashboard.fabric_summary import (
    LINKS,
    headline,
    link_rows,
    list_fabric_totals,
    worst_severity,
)
from fabricscope.errors import ConfigError, FabricError
from fabricscope.topology.builders import PRESETS, build
from fabricscope.topology.builders.specification import KINDS
from fabricscope.topology.checks import check_fabric
from fabricscope.topology.fabric import Fabric
from fabricscope.topology.files import FORMATS, Imported, read_fabric, render_fabric, write_fabric
from fabricscope.topology.quantities import parse_rate_gbps

__all__ = ["convert", "import_file", "list_known", "load_fabric", "make", "show"]

_LABEL_WIDTH: Final = 16
_NAME_WIDTH: Final = 14


def show(source: str, plan: str, rate: str, report: str, console: Console) -> None:
    """Draw the fabric `source`, print its totals and links, and check it.

    plan: a short form, preset or file that it should be cabled like; "" takes the file's own plan.
    Raises FabricError, and ConfigError for a report that cannot be written.
    """
    if report:
        check_output("--report", report, [source], "fabric")
    imported = _load(source, rate)
    fabric = imported.fabric
    planned = _find_plan(source, fabric, plan)
    checks, bisection = check_fabric(fabric, planned, imported.faults)
    screen = Screen(console)
    severity = worst_severity(checks)
    screen.line(
        (severity.upper(), SEVERITY_STYLES[severity]), ("  ", ""),
        (headline(fabric, checks), "bold"), hang=2,
    )  # fmt: skip
    for note in imported.notes:
        screen.line(("! ", "yellow"), (note, ""), indent=2, hang=2)
    screen.heading(fabric.name)
    console.print()
    draw_fabric(fabric, screen)
    screen.heading("Totals")
    for total in list_fabric_totals(fabric, bisection):
        screen.line(
            (f"{total.label:<{_LABEL_WIDTH}}", "dim"), (f"{total.value:<12}", "bold"),
            (f"  {total.note}" if total.note else "", "dim"), indent=2,
        )  # fmt: skip
    screen.heading("Links")
    screen.table(build_table("links", "Links", LINKS, link_rows(fabric), 100), unsure=False)
    screen.heading("Checks")
    for check in checks:
        screen.line(
            (f"{check.severity.upper():<10}", SEVERITY_STYLES[check.severity]),
            (f"{check.name:<{_NAME_WIDTH}}", "bold"), (check.text, ""), hang=10 + _NAME_WIDTH,
        )  # fmt: skip
    if report:
        from fabricscope.dashboard.fabric_page import FabricPage, write_fabric_page

        write_fabric_page(FabricPage(fabric, checks, bisection, imported.notes), report)
        screen.line((f"Report: {report}", "dim"))


def make(spec: str, out: str, form: str, console: Console) -> None:
    """Build the fabric `spec` and write it to `out`; - is standard output. Raises FabricError."""
    if not _is_short(spec):
        raise FabricError(
            f"{spec!r} is no fabric that can be built; see `fabricscope topology list`, or use "
            "`topology import` for a file"
        )
    _write(build(spec), out, form, console, ())


def import_file(source: str, out: str, form: str, rate: str, plan: str, console: Console) -> None:
    """Read a file of another program and write it in the project's format. Raises FabricError.

    form: the format of `source`, "" to recognise it; plan: what the fabric should be like, kept
    in the file so that `show` compares with it.
    """
    imported = read_fabric(Path(source), _parse_rate(rate), form)
    fabric = imported.fabric
    if plan:
        _build_plan("--plan", plan)
        fabric = Fabric(fabric.name, fabric.devices, fabric.links, plan)
    _write(fabric, out, "toml", console, (*imported.faults, *imported.notes), source)


def convert(source: str, out: str, form: str, console: Console) -> None:
    """Write the fabric `source` (short form, preset or file) in another format.

    Raises FabricError when the format cannot hold it.
    """
    imported = _load(source, "")
    _write(imported.fabric, out, form, console, (*imported.faults, *imported.notes), source)


def list_known(console: Console) -> None:
    """Print the presets, the short forms and the file formats."""
    screen = Screen(console)
    screen.line(("Presets", "bold"))
    for name, preset in PRESETS.items():
        screen.line((f"{name:<20}", "bold"), (preset.about, ""), indent=2, hang=20)
        screen.line((preset.specification, "dim"), indent=22, wrap=False)
    screen.heading("Short forms", "KIND:SHAPE@RATE,KEY=VALUE,...")
    for name, kind in KINDS.items():
        screen.line((f"{name:<20}", "bold"), (" x ".join(kind.shape), ""), indent=2)
    screen.heading("File formats")
    for name, one in FORMATS.items():
        screen.line(
            (f"{name:<20}", "bold"), (f"{one.about} ({', '.join(one.suffixes)})", ""), indent=2
        )


def load_fabric(source: str) -> Fabric:
    """Return the fabric of a short form, preset or file. Raises FabricError."""
    return _load(source, "").fabric


def _load(source: str, rate: str) -> Imported:
    """Return the fabric of a short form, preset or file."""
    if _is_short(source) or not Path(source).exists():
        return Imported(build(source))
    return read_fabric(Path(source), _parse_rate(rate))


def _parse_rate(rate: str) -> float:
    return parse_rate_gbps(rate) if rate else 400.0


def _find_plan(source: str, fabric: Fabric, plan: str) -> Fabric | None:
    """Return what the fabric should be like; None when it is what the builder just made."""
    if plan:
        return build(plan)
    if not fabric.plan or _is_short(source):
        return None
    return _build_plan(f"{source}: plan", fabric.plan)


def _build_plan(where: str, plan: str) -> Fabric:
    """Return the plan that a file holds: never a path, which a file must not make us open."""
    if not _is_short(plan):
        raise FabricError(f"{where}: {plan[:80]!r} is neither a short form nor a preset's name")
    return build(plan)


def _is_short(text: str) -> bool:
    return text in PRESETS or text.partition(":")[0] in KINDS


def _write(
    fabric: Fabric, out: str, form: str, console: Console, notes: tuple[str, ...], source: str = ""
) -> None:
    """Write the fabric and say on standard error what the file does not hold."""
    if out == "-":
        text, lost = render_fabric(fabric, "-", form or "toml")
        sys.stdout.write(text)
    else:
        try:
            check_output("OUT", out, [source] if source else [], "source")
        except ConfigError as error:
            raise FabricError(str(error)) from error
        lost = write_fabric(fabric, Path(out), form)
        Screen(console).line(
            (f"{out}: {len(fabric.devices):,} devices, {len(fabric.links):,} links", ""),
            wrap=False,
        )
    said = Screen(Console(stderr=True))
    for note in (*notes, *lost):
        said.line(("! ", "yellow"), (note, ""), hang=2)
