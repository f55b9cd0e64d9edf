"""The benchmark's results as Markdown; nothing here measures."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from measurement import Run

OURS: Final = "fabricscope"


@dataclass(frozen=True)
class Outcome:
    """The median run of a program on a capture."""

    program: str
    kind: str
    size: int  # records in the file
    expected_packets: int  # all of them, or the first so many that the program was asked to read
    read_packets: int | None  # what the program says it read; None if it says nothing
    run: Run
    repeats: int

    @property
    def complete(self) -> bool:
        """Whether the program ended well and read every packet."""
        return self.run.status == 0 and self.read_packets == self.expected_packets

    @property
    def packets_per_s(self) -> float:
        """Packets a second over the whole process, start and end included."""
        return self.expected_packets / self.run.wall_s


def write_report(
    outcomes: list[Outcome],
    *,
    machine: str,
    versions: dict[str, str],
    computes: dict[str, str],
    kinds: dict[str, str],
    command: str,
    absent: list[str],
    repeats: int,
    floor_bytes: int,
) -> str:
    """Return the report."""
    named = [f"| {name} {versions[name]} | {text} |" for name, text in computes.items()]
    lines = [
        "# Benchmarks",
        "",
        f"Made by `{command}`; do not edit.",
        "",
        f"Machine: {machine}. Other work may have shared it.",
        "Captures were in the page cache. Wall time is the whole process's, start included: the",
        f"median of the runs given, up to {repeats}, in turns with the others. CPU time is user",
        "and system time of all threads and children. Peak memory is the resident set of the",
        "largest process, mapped pages of the file included; the least that can be shown is",
        f"{floor_bytes / 1e6:.0f} MB. Fabricscope's kernels were compiled before, as they are once",
        "after an installation.",
        "",
        "| program | what it computes, called as its manual says for a file |",
        "|---|---|",
        *named,
        "",
    ]
    if absent:
        lines += [f"Not installed here: {', '.join(absent)}.", ""]
    for kind, text in kinds.items():
        sizes = sorted({outcome.size for outcome in outcomes if outcome.kind == kind})
        for size in sizes:
            chosen = [o for o in outcomes if o.kind == kind and o.size == size]
            lines += [f"## {kind}, {size:,} packets", "", f"{text}.", "", *_list(chosen), ""]
        lines += _list_growth([o for o in outcomes if o.kind == kind])
    return "\n".join(lines).rstrip() + "\n"


def _list(outcomes: list[Outcome]) -> list[str]:
    """Return a table, the fastest first; a program that skipped packets comes last."""
    ours = next((o for o in outcomes if o.program == OURS and o.complete), None)
    rows = [
        "| program | packets/s | wall s | CPU s | peak MB | Fabricscope is faster by | runs |",
        "|---|---|---|---|---|---|---|",
    ]
    for o in sorted(outcomes, key=lambda o: (not o.complete, -o.packets_per_s)):
        figures = f"{o.run.wall_s:.2f} | {o.run.cpu_s:.2f} | {o.run.peak_rss_bytes / 1e6:.0f}"
        if o.complete:
            prefix = f" (first {o.expected_packets:,})" if o.expected_packets < o.size else ""
            speed = f"{_round(o.packets_per_s)}{prefix}"
            ratio = f"{ours.packets_per_s / o.packets_per_s:.2f}" if ours else "-"
        else:
            speed, ratio = _explain(o), "-"
        rows.append(f"| {o.program} | {speed} | {figures} | {ratio} | {o.repeats} |")
    fastest = _find_fastest(outcomes)
    if ours and fastest:
        times = ours.packets_per_s / fastest.packets_per_s
        rows += ["", f"Against the fastest peer, {fastest.program}: {times:.2f} times its speed."]
    return rows


def _explain(outcome: Outcome) -> str:
    if outcome.run.status:
        return f"failed (status {outcome.run.status})"
    if outcome.read_packets is None:
        return "does not say that it used a packet"
    return f"used {outcome.read_packets:,} of {outcome.expected_packets:,} packets"


def _find_fastest(outcomes: Iterable[Outcome]) -> Outcome | None:
    peers = (o for o in outcomes if o.complete and o.program != OURS)
    return max(peers, key=lambda o: o.packets_per_s, default=None)


def _list_growth(outcomes: list[Outcome]) -> list[str]:
    """Return how wall time and memory of each program grow from its least to its largest size."""
    rows = []
    for name in dict.fromkeys(o.program for o in outcomes):
        own = sorted(
            (o for o in outcomes if o.program == name and o.complete), key=lambda o: o.size
        )
        if len(own) < 2:
            continue
        least, largest = own[0], own[-1]
        rows.append(
            f"| {name} | {least.size:,} to {largest.size:,} "
            f"| {largest.run.wall_s / least.run.wall_s:.1f} "
            f"| {largest.run.peak_rss_bytes / least.run.peak_rss_bytes:.2f} |"
        )
    if not rows:
        return []
    head = ["Growth:", "", "| program | packets | wall time, times | peak memory, times |"]
    return [*head, "|---|---|---|---|", *rows, ""]


def _round(value: float) -> str:
    """Return a number with three significant digits."""
    digits = max(0, len(str(int(value))) - 3)
    return f"{round(value, -digits):,.0f}"
