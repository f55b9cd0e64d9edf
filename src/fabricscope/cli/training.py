"""Training jobs on a terminal: diagnosis, facts, a timeline of iterations, the ring.

What is said comes from fabricscope.dashboard.training; here it is laid out. Every drawing has a
twin in plain ASCII.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from rich.cells import cell_len

from fabricscope.cli.screen import Screen
from fabricscope.dashboard.columns import build_table
from fabricscope.dashboard.quantities import format_duration
from fabricscope.dashboard.spans import cover, extent
from fabricscope.dashboard.summary import Document, lost_packets
from fabricscope.dashboard.tables import COLLECTIVES
from fabricscope.dashboard.training import (
    Edge,
    Job,
    describe_diagnosis,
    edges_of,
    list_job_facts,
    list_jobs,
    name_briefly,
    slow_edges,
    spans_of,
    suspects,
)

JOBS_LIMIT: Final = 4
COLLECTIVES_LIMIT: Final = 10
TIMELINES_LIMIT: Final = 6
BRIEF_TIMELINES: Final = 2
RING_LIMIT: Final = 16
"""Ranks of a ring that are drawn; of a larger one the part around the straggler."""
NEIGHBOURS_LIMIT: Final = 8
_LABEL_WIDTH: Final = 20
_TIMELINE_WIDTH: Final = 72
_SHADES: Final = " ░▒▓█"
_ASCII_SHADES: Final = " .:+#"

Parts = list[tuple[str, str]]
"""A line: texts, each with its style."""


def print_training(document: Document, screen: Screen) -> None:
    """Print a chapter for each job of `document`, at most `JOBS_LIMIT`."""
    jobs = list_jobs(document)
    for job in jobs[:JOBS_LIMIT]:
        screen.heading("Training" if len(jobs) == 1 else f"Training job {job.number}")
        _print_diagnosis(job, screen)
        _print_facts(job, screen)
        _print_drawings(job, document, screen, TIMELINES_LIMIT)
        _print_collectives(job, document, screen)
    if len(jobs) > JOBS_LIMIT:
        screen.line((f"{len(jobs) - JOBS_LIMIT:,} more jobs, use --json", "dim"))


def print_training_briefly(document: Document, screen: Screen) -> None:
    """Print the diagnosis of the first job of `document`, and drawings if it is held back."""
    jobs = list_jobs(document)
    if jobs:
        screen.heading("Training", f"1 of {len(jobs):,} jobs" if len(jobs) > 1 else "")
        _print_diagnosis(jobs[0], screen)
        if suspects(jobs[0]):
            _print_drawings(jobs[0], document, screen, BRIEF_TIMELINES)


def _print_diagnosis(job: Job, screen: Screen) -> None:
    troubled = bool(suspects(job))
    screen.line(
        ("! " if troubled else "- ", "bold yellow" if troubled else "green"),
        (describe_diagnosis(job), "bold"),
        indent=2,
        hang=2,
    )


def _print_facts(job: Job, screen: Screen) -> None:
    for fact in list_job_facts(job):
        screen.line(
            (f"{fact.label:<{_LABEL_WIDTH}}", "dim"),
            (f"{screen.clean(fact.value):<14}" if fact.note else fact.value, "bold"),
            (fact.note, "dim"),
            indent=2,
            hang=_LABEL_WIDTH,
        )


def _print_drawings(job: Job, document: Document, screen: Screen, timelines: int) -> None:
    start_ns = int(document["capture"]["start_ns"])
    for parts in _draw_timelines(job, start_ns, timelines, screen):
        screen.line(*parts, indent=2, wrap=False)
    for parts in _draw_graph(job, edges_of(job, document), screen):
        screen.line(*parts, indent=2, wrap=False)


def _print_collectives(job: Job, document: Document, screen: Screen) -> None:
    if job.collectives:
        table = build_table(
            "collectives", "Collectives", COLLECTIVES, job.collectives, COLLECTIVES_LIMIT
        )
        screen.table(table, unsure=bool(lost_packets(document)))


def _draw_timelines(job: Job, start_ns: int, limit: int, screen: Screen) -> list[Parts]:
    """Return a line a collective, at most `limit`, darker where it was under way for longer."""
    shown = [one for one in job.collectives if spans_of(one)][:limit]
    seen = extent([spans_of(collective) for collective in shown])
    width = min(_TIMELINE_WIDTH, screen.console.width - _LABEL_WIDTH - 4)
    if seen is None or width < 1:
        return []
    shades = _SHADES if screen.unicode else _ASCII_SHADES
    lines: list[Parts] = []
    for collective in shown:
        shares = cover(spans_of(collective), *seen, width)
        bar = "".join(shades[math.ceil(share * (len(shades) - 1))] for share in shares)
        name = screen.clean(name_briefly(collective))
        lines.append([(screen.fit(name, _LABEL_WIDTH - 1) + " ", "dim"), (bar, "cyan")])
    first, last = (format_duration((moment - start_ns) / 1e9) for moment in seen)
    first, last = screen.clean(first), screen.clean(last)
    if len(first) + len(last) < width:
        gap = " " * (width - len(first) - len(last))
        lines.append([(" " * _LABEL_WIDTH + first + gap + last, "dim")])
    return lines


def _draw_graph(job: Job, edges: Sequence[Edge], screen: Screen) -> list[Parts]:
    """Return who sends to whom: a closed ring, everybody to everybody, or lists of neighbours."""
    order = [one for one, _ in edges]
    ring = list(zip(order, [*order[1:], *order[:1]], strict=True))
    if len(edges) > 1 and list(edges) == ring:
        return _draw_ring(job, order, True, screen)
    chain = [*order, *(other for _, other in edges[-1:])]
    if edges and list(edges) == list(pairwise(chain)) and len(set(chain)) == len(chain):
        return _draw_ring(job, chain, False, screen)
    count = len(job.ranks)
    if count > 2 and len(edges) == count * (count - 1):
        return [[(f"{'Sends':<{_LABEL_WIDTH}}", "dim"), ("each rank to every other", "")]]
    return _list_neighbours(edges, screen)


def _list_neighbours(edges: Sequence[Edge], screen: Screen) -> list[Parts]:
    """Return a line for each rank, the one with most neighbours first."""
    both, one_way = ("<->", "->") if not screen.unicode else ("↔", "→")
    known = set(edges)
    partners: dict[tuple[str, str], list[str]] = {}
    for one, other in edges:
        partners.setdefault((one, both if (other, one) in known else one_way), []).append(other)
    told: set[frozenset[str]] = set()
    lines: list[Parts] = []
    for (one, arrow), others in sorted(partners.items(), key=lambda item: -len(item[1])):
        fresh = [o for o in others if arrow == one_way or frozenset((one, o)) not in told]
        told.update(frozenset((one, other)) for other in fresh)
        if not fresh:
            continue
        label = "Sends" if not lines else ""
        room = screen.console.width - _LABEL_WIDTH - 2
        listed = ", ".join(screen.clean(other, 45) for other in fresh)
        text = screen.fit(f"{screen.clean(one, 45)} {arrow} {listed}", room)
        lines.append([(f"{label:<{_LABEL_WIDTH}}", "dim"), (text.rstrip(), "")])
    if len(lines) > NEIGHBOURS_LIMIT:
        hidden = f"{len(lines) - NEIGHBOURS_LIMIT:,} more ranks, use --json"
        lines[NEIGHBOURS_LIMIT:] = [[(" " * _LABEL_WIDTH + hidden, "dim")]]
    return lines


def _draw_ring(job: Job, order: Sequence[str], closed: bool, screen: Screen) -> list[Parts]:
    """Return the ring in one frame where it fits, else wrapped; trouble stands in words.

    One that was seen in part is not closed. Of a long one the part around the straggler is drawn.
    """
    marks = {suspect.ip: suspect for suspect in suspects(job)}
    edges = list(zip(order, [*order[1:], order[0]], strict=True))
    slow = {
        edge: suspect.label for suspect in marks.values() for edge in slow_edges(suspect, edges)
    }
    troubled = [place for place, rank in enumerate(order) if rank in marks]
    count = min(RING_LIMIT, len(order))
    first = max(0, troubled[0] - count // 2) if troubled else 0
    first = 0 if count == len(order) else min(first, len(order) - count)
    pieces: list[tuple[Parts, Parts]] = []
    for place in range(first, first + count):
        name = screen.clean(order[place], 45)
        node: Parts = [(name, "")]
        suspect = marks.get(order[place])
        if suspect and suspect.kind != "link":
            node = [(f"[! {name}: {screen.clean(suspect.label)}]", "bold yellow")]
        pieces.append((node, _arrow(slow.get(edges[place], ""), screen)))
    hidden = len(order) - count
    if closed and not hidden and (framed := _frame(pieces, screen)):
        return framed
    if closed or hidden:
        end = f"{hidden:,} more ranks" if hidden else ""
        back = "back to the first" if closed else ""
        pieces.append(([(", ".join(filter(None, (end, back))), "dim")], []))
    else:
        pieces[-1] = (pieces[-1][0], [])
    return _wrap(pieces, screen)


def _arrow(trouble: str, screen: Screen) -> Parts:
    if trouble:
        text = screen.clean(trouble)
        return [(f" ══ {text} ══▶ " if screen.unicode else f" == {text} ==> ", "bold yellow")]
    return [(" ──▶ " if screen.unicode else " --> ", "dim")]


def _frame(pieces: Sequence[tuple[Parts, Parts]], screen: Screen) -> list[Parts]:
    """Return two lines, the second closing the ring, or nothing if they do not fit."""
    left, right, below_left, dash, below_right = (
        ("╭─▶ ", " ─╮", "╰", "─", "╯") if screen.unicode else ("+-> ", " -+", "+", "-", "+")
    )
    line: Parts = [(left, "dim")]
    for node, arrow in pieces[:-1]:
        line += [*node, *arrow]
    line += [*pieces[-1][0], (right, "dim")]
    width = _width(line)
    if width + 2 > screen.console.width:
        return []
    closing = pieces[-1][1]
    bottom: Parts = [(below_left + dash * (width - 2) + below_right, "dim")]
    if closing[0][1] != "dim":  # the slow link is the one that closes the ring
        text, style = closing[0][0].strip(" ═=>▶"), closing[0][1]
        room = width - 2 - cell_len(text) - 2
        if room < 2:
            return []
        bottom = [
            (below_left + dash * (room // 2), "dim"),
            (f" {text} ", style),
            (dash * (room - room // 2) + below_right, "dim"),
        ]
    return [line, bottom]


def _wrap(pieces: Sequence[tuple[Parts, Parts]], screen: Screen) -> list[Parts]:
    lines: list[Parts] = [[]]
    for node, arrow in pieces:
        piece = [*node, *arrow]
        if lines[-1] and _width(lines[-1]) + _width(piece) + 2 > screen.console.width:
            lines.append([])
        lines[-1] += piece
    return lines


def _width(parts: Parts) -> int:
    return sum(cell_len(text) for text, _ in parts)
