"""The document of `simulate` on a terminal: what each scheme costs, and a timeline of each."""

import math
from typing import Any, Final

from rich.console import Console

from fabricscope.cli.screen import Screen
from fabricscope.dashboard.columns import build_table
from fabricscope.dashboard.failover import (
    STAGES,
    Document,
    describe_headline,
    list_remarks,
    list_totals,
    result_rows,
    timeline_marks,
    worst_role,
)
from fabricscope.dashboard.failover_tables import (
    CONVERGENCE,
    COSTS,
    sweep_columns,
    sweep_rows,
)
from fabricscope.dashboard.quantities import UNKNOWN, format_microseconds

ROWS_LIMIT: Final = 100
_LETTERS: Final = {
    **dict(zip(STAGES, "dsniw", strict=True)), "loss ends": "x", "transport": "T",
}  # fmt: skip
_NAME_WIDTH: Final = 14
_MOST_DECADES: Final = 9


def print_simulation(document: Document, console: Console) -> None:
    """Print the whole document in words, tables and one line of time a scheme."""
    screen = Screen(console)
    if document.get("points") is not None:
        _print_sweep(document, screen)
        return
    verdict = describe_headline(document)
    screen.line((verdict.headline, "bold"))
    totals = [f"{total.label.lower()} {total.value}" for total in list_totals(document)]
    screen.line((" · ".join(totals), "dim"))
    results = document["results"]
    roles = build_table("roles", "Convergence", CONVERGENCE, result_rows(document), ROWS_LIMIT)
    if roles.rows:
        screen.heading("Convergence", "remote first: the case that tells schemes apart")
        screen.table(roles, unsure=False)
        _print_timelines(results, screen)
    screen.heading("The job", "medians over the repetitions")
    screen.table(build_table("costs", "The job", COSTS, results, ROWS_LIMIT), unsure=False)
    remarks = list_remarks(document)
    if remarks:
        screen.heading("How to read this")
        for remark in remarks:
            screen.line(("- ", "dim"), (remark, ""), hang=2)


def _print_timelines(results: list[dict[str, Any]], screen: Screen) -> None:
    """Print a line a scheme on one logarithmic axis: a letter fills each stage."""
    rows = [(result, timeline_marks(result)) for result in results]
    times = [time_us for _, marks in rows for _, time_us in marks if time_us > 0]
    if not times:
        return
    first = math.floor(math.log10(min(times)) - 0.3)
    last = math.ceil(math.log10(max(times)) + 1e-9)
    first = max(first, last - _MOST_DECADES)
    last = max(last, first + 1)
    width = max(20, min(100, screen.console.width - 2 * _NAME_WIDTH - 4))
    decade = max(1, width // (last - first))
    screen.console.print()
    heads = [format_microseconds(10.0**power) for power in range(first, last + 1)]
    axis = "".join(screen.fit(screen.clean(head), decade) for head in heads[:-1]) + heads[-1]
    screen.line((" " * (_NAME_WIDTH + 8) + screen.clean(axis), "dim"), wrap=False)
    for result, marks in rows:
        cells = [" "] * (decade * (last - first) + 1)
        reached = 0
        for name, time_us in marks:
            place = round((math.log10(time_us) - first) * decade) if time_us > 0 else 0
            place = min(max(place, 0), len(cells) - 1)
            if name in STAGES:
                cells[reached : place + 1] = _LETTERS[name] * (place + 1 - reached)
                reached = place + 1
            elif cells[place] == " " or place == len(cells) - 1:
                cells[place] = _LETTERS[name]
            else:
                cells[min(place + 1, len(cells) - 1)] = _LETTERS[name]
        label = screen.fit(screen.clean(result["recovery"]), _NAME_WIDTH)
        role = screen.fit(worst_role(result) or UNKNOWN, 8)
        line = "".join(cells).rstrip() or "no route changes"
        screen.line((label, "bold"), (role, "dim"), (line, ""), wrap=False)
    legend = ", ".join(f"{letter} {name}" for name, letter in _LETTERS.items())
    screen.line((f"time since the failure, log scale: {legend}", "dim"))


def _print_sweep(document: Document, screen: Screen) -> None:
    count = len(document["points"])
    screen.line((f"{count:,} points of {', '.join(document['sweep'])}", "bold"))
    table = build_table(
        "points", "Points", sweep_columns(document), sweep_rows(document), ROWS_LIMIT
    )
    screen.table(table, unsure=False)
