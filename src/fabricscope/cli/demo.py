"""`fabricscope demo`: shipped captures analyzed, what is found beside what was put into them."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from fabricscope.cli.screen import Screen
from fabricscope.errors import ConfigError

Record = Mapping[str, Any]

CAPTURES: Final = Path(__file__).resolve().parents[3] / "pcaps"
REPORT: Final = "demo.html"


@dataclass(frozen=True)
class Demonstration:
    """One analysis of the demo: a recipe whose captures are shipped, and what it shows."""

    recipe: str
    title: str
    lesson: str


DEMONSTRATIONS: Final = (
    Demonstration(
        "loss-before-tap",
        "packets lost in the network",
        "A receiver that misses a packet answers with a NAK, and the sender goes back: each lost "
        "packet costs a burst of packets sent again.",
    ),
    Demonstration(
        "mirror-loss",
        "packets lost by the mirror port",
        "The same holes, but acknowledged: the network delivered these packets and the capture "
        "lost them. Numbers that this can distort are marked.",
    ),
    Demonstration(
        "tail-timeout",
        "lost ends of messages",
        "Nothing follows the end of a message that would draw a NAK, so the sender waits for its "
        "time-out. A tap cannot see how much of the end was lost: one packet each at least.",
    ),
    Demonstration(
        "congestion",
        "incast",
        "Three senders, one receiver: switches mark packets (CE), the receiver sends CNPs, and "
        "the senders slow down.",
    ),
    Demonstration(
        "three-taps",
        "three captures of one run",
        "A packet seen at two taps is one packet, the taps' clocks are aligned, and a loss is "
        "placed between taps.",
    ),
)


@dataclass(frozen=True)
class Fact:
    """One number as the truth file and the document of `analyze` have it."""

    singular: str
    plural: str
    put_in: Callable[[Record], int]
    found: Callable[[Record], int]

    def phrase(self, count: int) -> str:
        """Return the count in words."""
        return f"{count:,} {self.singular if count == 1 else self.plural}"


def run() -> int:
    """Analyze and print all demonstrations, write one report; return the exit status."""
    from fabricscope.dashboard.report import write_report

    files = [_files(CAPTURES, show) for show in DEMONSTRATIONS]
    screen = Screen(Console())
    screen.line(
        ("Fabricscope analyzes captures of traffic that it generated itself, so that what is in "
         "them is known: compare 'put in' with 'found'.", "")
    )  # fmt: skip
    screen.console.file.flush()
    _announce_compilation()
    document: Record = {}
    for number, (show, (captures, truth)) in enumerate(zip(DEMONSTRATIONS, files, strict=True), 1):
        document = _analyze(captures)
        _print(screen, f"{number}/{len(files)}", show, captures, truth, document)
        screen.console.file.flush()
    report = _report_path()
    write_report(document, str(report))
    screen.console.print()
    screen.console.rule(style="dim", characters="-")
    screen.line((f"The last of these as a page: {_shown(report)} (open it in a browser).", "bold"))
    screen.line(
        ("Next: ", "bold"),
        (f"{_program()} analyze {_shown(CAPTURES)}/slow-link.pcap, or a capture of your own.", ""),
    )
    return 0


def _files(folder: Path, show: Demonstration) -> tuple[list[Path], Record]:
    """Return the captures of a recipe and their truth; ConfigError where they are not there."""
    truth_file = folder / f"{show.recipe}.truth.json"
    try:
        truth = json.loads(truth_file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"The demo's captures are not at {folder}: run it in a checkout of the repository "
            "(make run), or use 'fabricscope analyze' on a capture of your own."
        ) from error
    captures = [folder / tap["file"] for tap in truth["taps"]]
    for capture in captures:
        if not capture.is_file():
            raise ConfigError(
                f"The demo's capture {capture} is missing: make it again with "
                "'python pcaps/make.py', or check the repository out again."
            )
    return captures, truth


def _announce_compilation() -> None:
    from fabricscope.pipeline.compilation import compile_beside, kernels_are_compiled

    if not kernels_are_compiled():
        compile_beside()
        print(
            "fabricscope: compiling the kernels for this machine, once; this takes a minute or two",
            file=sys.stderr,
            flush=True,
        )


def _analyze(captures: Sequence[Path]) -> Record:
    from fabricscope.cli.progress import Progress
    from fabricscope.pipeline.analysis import Options, analyze
    from fabricscope.pipeline.document import build_document

    with Progress(enabled=sys.stderr.isatty()) as progress:
        return build_document(
            analyze([_shown(path) for path in captures], Options(), progress.update)
        )


def _print(
    screen: Screen,
    place: str,
    show: Demonstration,
    captures: Sequence[Path],
    truth: Record,
    document: Record,
) -> None:
    from fabricscope.cli.terminal import print_brief

    names = " ".join(_shown(path) for path in captures)
    screen.console.print()
    screen.console.rule(style="dim", characters="-")
    screen.line((f"{place}  {show.title.capitalize()}", "bold"))
    screen.line(("$ ", "dim"), (f"fabricscope analyze {names}", ""), wrap=False)
    put_in, found = describe_truth(truth), describe_found(truth, document)
    screen.line(("put in  ", "bold cyan"), (put_in, ""), hang=8)
    screen.line(("found   ", "bold green"), (found, ""), hang=8)
    screen.line((show.lesson, "dim"))
    print_brief(document, screen.console)


def describe_truth(truth: Record) -> str:
    """Return in a line what a truth file says was put into its captures."""
    facts = [fact.phrase(count) for fact in FACTS if (count := fact.put_in(truth))]
    messages = f"{_at_taps(truth, 'messages'):,} messages"
    return "; ".join([messages, *facts, *_clocks(truth["taps"])])


def describe_found(truth: Record, document: Record) -> str:
    """Return the same numbers, in the same order, as `analyze` found them."""
    capture = document["capture"]
    distinct = capture["packets"] - capture["duplicate_packets"]
    facts = [
        fact.phrase(count)
        for fact in FACTS
        if (count := fact.found(document)) or fact.put_in(truth)
    ]
    messages = f"{_sum(document['queue_pairs'], 'messages'):,} messages in {distinct:,} packets"
    return "; ".join([messages, *facts, *_clocks(capture["taps"])])


def _clocks(taps: Sequence[Record]) -> list[str]:
    """Return how far the clocks are from the first tap's, where there are several."""
    if len(taps) < 2:
        return []
    first = taps[0]["clock_offset_us"]
    offsets = ", ".join(f"{tap['clock_offset_us'] - first:+,.1f}" for tap in taps[1:])
    return [f"clocks off by {offsets} µs"]


def _at_taps(truth: Record, name: str) -> int:
    """Return a count over all directions, each as the tap that saw the most of it counted."""
    most: dict[tuple[str, str, int], int] = {}
    for tap in truth["taps"]:
        for pair in tap["queue_pairs"]:
            key = (pair["src"], pair["dst"], pair["dest_qp"])
            most[key] = max(most.get(key, 0), pair[name])
    return sum(most.values())


def _lost(truth: Record) -> int:
    places = ("lost_uplink", "lost_fabric", "lost_downlink")
    return sum(_sum(truth["network_flows"], place) for place in places)


def _sum(rows: Sequence[Record], name: str) -> int:
    return sum(int(row[name] or 0) for row in rows)


def _pairs(name: str) -> Callable[[Record], int]:
    return lambda document: _sum(document["queue_pairs"], name)


FACTS: Final = (
    Fact(
        "packet lost in the network", "packets lost in the network", _lost, _pairs("network_lost")
    ),
    Fact(
        "packet lost by the mirror",
        "packets lost by the mirror",
        lambda truth: _sum(truth["taps"], "capture_lost_packets"),
        lambda document: int(document["capture_loss"]["lower_bound_packets"]),
    ),
    Fact("NAK", "NAKs", lambda truth: _at_taps(truth, "naks"), _pairs("naks")),
    Fact("time-out", "time-outs", lambda truth: _at_taps(truth, "timeouts"), _pairs("timeouts")),
    Fact(
        "packet sent again",
        "packets sent again",
        lambda truth: _at_taps(truth, "retransmissions"),
        _pairs("retransmissions"),
    ),
    Fact("CE mark", "CE marks", lambda truth: _at_taps(truth, "ce"), _pairs("ecn_marked")),
    Fact("CNP", "CNPs", lambda truth: _at_taps(truth, "cnps"), _pairs("cnps")),
)
"""What is compared, in the order of a line."""


def _report_path() -> Path:
    """Return where the page goes: `build/` of the checkout, else the current folder."""
    build = CAPTURES.parent / "build"
    try:
        build.mkdir(exist_ok=True)
    except OSError:
        return Path(REPORT)
    return build / REPORT if os.access(build, os.W_OK) else Path(REPORT)


def _program() -> str:
    """Return how to call the program: by its path where the shell would not find it."""
    called = Path(sys.argv[0])
    known = called.name != "fabricscope" or shutil.which(called.name)
    return "fabricscope" if known else _shown(called.absolute())


def _shown(path: Path) -> str:
    """Return the path from the current folder, where it is below it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
