"""`fabricscope signatures`: list the catalogue, check one's own files, try them on a capture."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from fabricscope.cli.screen import Screen
from fabricscope.errors import ConfigError
from fabricscope.pipeline.signatures import check_signatures, list_signatures


def show(folders: list[str], console: Console) -> None:
    """Print every protocol with its family, transports, hinting ports and number of rules."""
    signatures = sorted(
        list_signatures([Path(folder) for folder in folders]), key=lambda one: one.name
    )
    screen = Screen(console)
    family = ""
    for one in sorted(signatures, key=lambda one: (one.category, one.name)):
        if one.category != family:
            family = one.category
            screen.heading(family)
        ports = [f"tcp {port}" for port in one.tcp_ports] + [
            f"udp {port}" for port in one.udp_ports
        ]
        hints = f"  {', '.join(ports[:6])}" if ports else ""
        screen.line((f"  {one.name:<24}", "bold"), (f"{one.title}", ""), (hints, "dim"))
    console.print(
        f"{len(signatures)} protocols, {sum(len(one.matches) for one in signatures)} rules; "
        "ports are hints and never decide alone"
    )


def check(folder: str, console: Console) -> None:
    """Check the signature files in `folder`; ConfigError names file, line, key and reason."""
    path = Path(folder)
    if not path.is_dir():
        raise ConfigError(f"{folder} is no folder: name the folder that holds the .toml files.")
    signatures = check_signatures(path)
    rules = sum(len(one.matches) for one in signatures)
    screen = Screen(console)
    for one in signatures:
        if not (one.matches or one.decoded or one.ethertypes or one.ip_protocols):
            screen.line(
                (f"{one.name} has no [[protocol.match]]: ", ""),
                ("only its ports can name flows, and only those without payload", ""),
            )
    counts = f"{_counted(len(signatures), 'protocol')}, {_counted(rules, 'rule')}"
    console.print(f"{counts} in {folder}: no mistake found")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def test(capture: str, folders: list[str], console: Console) -> None:
    """Print what the signatures say about each flow of `capture`, in order of first packet."""
    from fabricscope.cli.progress import Progress
    from fabricscope.pipeline.analysis import Options, analyze
    from fabricscope.pipeline.document import build_document

    with Progress(enabled=True) as progress:
        options = Options(signature_dirs=tuple(folders))
        document = build_document(analyze([capture], options, progress.update))
    table = Table(box=None, pad_edge=False)
    for title in ("A", "B", "Proto", "Application", "Source", "Confidence", "Detail"):
        table.add_column(title, overflow="ellipsis", no_wrap=title != "Detail")
    screen = Screen(console)
    flows = sorted(document["flows"], key=lambda flow: flow["first_frame"])
    for flow in flows:
        detail = flow["detail"] or {}
        table.add_row(
            *(
                screen.text(text)
                for text in (
                    f"{flow['src']}:{flow['src_port']}",
                    f"{flow['dst']}:{flow['dst_port']}",
                    flow["protocol"],
                    flow["application"],
                    flow["application_source"] or "-",
                    f"{flow['application_confidence'] or 0:.2f}",
                    ", ".join(f"{key}={value}" for key, value in detail.items()),
                )
            )
        )
    console.print(table)
    known = sum(flow["application"] != "unknown" for flow in flows)
    console.print(f"{known} of {len(flows)} flows named")
