"""The `fabricscope` program: its commands, and what becomes of errors.

Commands import what they need when they run, so that `--help` and `--version` start at once.
"""

import errno
import gc
import os
import sys
from typing import Annotated, Final

import typer

from fabricscope import __version__
from fabricscope.cli.dashboard_commands import register as register_dashboard
from fabricscope.cli.live_commands import register as register_live
from fabricscope.cli.options import Json, Quiet, Report, Signatures
from fabricscope.cli.simulation_commands import register as register_simulation
from fabricscope.cli.topology_commands import topology_app
from fabricscope.dashboard.plain_text import neutralise
from fabricscope.errors import FabricscopeError

app = typer.Typer(
    name="fabricscope",
    help="Network-fabric monitoring and visualization for AI clusters.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich would take as long to import as all the rest
    context_settings={"help_option_names": ["-h", "--help"]},
)
# Typer carries its own copy of click, whose usage error it does not export by name.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
_INTERRUPTED: Final = 130
_MESSAGE_LIMIT: Final = 2_000
_UNWRITABLE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
CAPTURE_HELP = "Capture file (pcap, pcapng, ERF; plain, gzip or zstd); - for standard input."


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fabricscope {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Network-fabric monitoring and visualization for AI clusters."""


@app.command()
def analyze(
    captures: Annotated[
        list[str], typer.Argument(metavar="CAPTURE", help=CAPTURE_HELP, show_default=False)
    ],
    json: Json = "",
    report: Report = "",
    fail_on: Annotated[
        str,
        typer.Option(
            metavar="SEVERITY",
            help="Exit with 1 if a finding is this severe: critical, warning, notice, info.",
        ),
    ] = "",
    link_rate: Annotated[
        float, typer.Option(metavar="GBPS", help="Rate of the tapped links, for pause times.")
    ] = 100.0,
    idle_timeout: Annotated[
        float, typer.Option(metavar="S", help="Silence after which a flow is closed.")
    ] = 120.0,
    active_timeout: Annotated[
        float, typer.Option(metavar="S", help="Age at which a flow is closed; 0: never.")
    ] = 0.0,
    flow_capacity: Annotated[
        int, typer.Option(metavar="N", help="Flows open at a time; past it the oldest are closed.")
    ] = 262_144,
    jobs: Annotated[
        int, typer.Option(metavar="N", help="Threads that carry batches; 0: one a core, up to 4.")
    ] = 0,
    signatures: Signatures = None,
    rules: Annotated[
        str, typer.Option(metavar="FILE.toml", help="Rules that tag, alert and export.")
    ] = "",
    snippets: Annotated[
        str, typer.Option(metavar="DIR", help="Folder for the nftables and ACL text of rules.")
    ] = "",
    quiet: Quiet = False,
) -> None:
    """Say what is in captures, how healthy their RDMA is, and which packets to look at.

    Several captures are taken as taps of the same traffic: a packet seen at two is one packet.
    """
    from fabricscope.cli.analyze import Request, run

    raise typer.Exit(
        run(
            Request(
                captures=captures,
                json=json,
                report=report,
                fail_on=fail_on,
                link_rate_gbps=link_rate,
                idle_s=idle_timeout,
                active_s=active_timeout,
                flow_capacity=flow_capacity,
                jobs=jobs,
                signatures=tuple(signatures or ()),
                rules=rules,
                snippets=snippets,
                quiet=quiet,
            )
        )
    )


@app.command()
def dissect(
    capture: Annotated[
        str, typer.Argument(metavar="CAPTURE", help="Capture file that Wireshark can read.")
    ],
    frames: Annotated[str, typer.Option(metavar="LIST", help="Frame numbers, such as 10,12-15.")],
) -> None:
    """Dissect chosen packets in full, with Wireshark's dissectors."""
    from rich.console import Console

    from fabricscope.cli.dissect import print_dissection

    print_dissection(capture, frames, Console())


@app.command()
def generate(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe's name or file.")],
    out: Annotated[str, typer.Argument(metavar="OUT.pcap", help="The capture to write.")],
    seed: Annotated[int | None, typer.Option(metavar="N", help="Seed of all chance.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change one entry, e.g. network.ip_version=6."
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Generate synthetic traffic with known truth: OUT.pcap and OUT.truth.json."""
    from fabricscope.cli.generate import run

    run(recipe, out, seed, settings or [], quiet)


signatures_app = typer.Typer(help="The catalogue of protocols.")
app.add_typer(signatures_app, name="signatures")


@signatures_app.command("list")
def signatures_list(
    signatures: Signatures = None,
) -> None:
    """List every protocol that can be recognised."""
    from rich.console import Console

    from fabricscope.cli.signatures import show

    show(signatures or [], Console())


@signatures_app.command("check")
def signatures_check(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Folder of signature files.")],
) -> None:
    """Check signature files without running them."""
    from rich.console import Console

    from fabricscope.cli.signatures import check

    check(folder, Console())


@signatures_app.command("test")
def signatures_test(
    capture: Annotated[str, typer.Argument(metavar="CAPTURE", help=CAPTURE_HELP)],
    signatures: Signatures = None,
) -> None:
    """Say what the signatures make of each flow of a capture."""
    from rich.console import Console

    from fabricscope.cli.signatures import test

    test(capture, signatures or [], Console())


rules_app = typer.Typer(help="Rules on flows, queue pairs and findings.", no_args_is_help=True)
app.add_typer(rules_app, name="rules")


@rules_app.command("check")
def rules_check(
    file: Annotated[str, typer.Argument(metavar="FILE.toml", help="The rules.")],
) -> None:
    """Say what each rule of a file does; nothing is opened or sent."""
    from pathlib import Path

    from fabricscope.pipeline.rules import check_rules

    for line in check_rules(Path(file)):
        typer.echo(line)


register_simulation(app)
app.add_typer(topology_app, name="topology")
register_live(app)
register_dashboard(app)


@app.command()
def demo(
    port: Annotated[
        int, typer.Option(metavar="PORT", help="TCP port of the site, on this host only.")
    ] = 8050,
    duration: Annotated[
        float, typer.Option(metavar="S", help="End after so many seconds; 0: never.")
    ] = 0.0,
    terminal: Annotated[
        bool, typer.Option("--terminal", help="Analyze the captures in the terminal instead.")
    ] = False,
) -> None:
    """Run a whole system on the traffic that comes with the project, and show it in a browser."""
    if terminal:
        from fabricscope.cli.demo import run

        raise typer.Exit(run())
    from fabricscope.cli.demo_system import DemoRequest
    from fabricscope.cli.demo_system import run as run_system

    run_system(DemoRequest(port, duration))


def main() -> None:
    """Run the program; errors that a user can cause become one line and exit status 2."""
    # NumPy's linear algebra starts a thread for each core, which spin while the program loads.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # What is imported stays until the end: looking through it for garbage takes a tenth of the
    # start-up time. Commands that do long work turn it on again.
    gc.disable()
    # A stream that the caller closed is missing; what is written to it is not wanted.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (for good)
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    try:
        status = _run(sys.argv[1:] or ["--help"])
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):
        # The reader of a pipe left, which Typer turns into SystemExit: nothing is owed to it.
        _discard_output()
        status = 0
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        _discard_output()
        status = _fail(
            f"Standard output cannot be written ({error.strerror}): free some space, or write "
            "elsewhere."
        )
    sys.stderr.flush()
    # Everything is written and closed: taking the interpreter and the compiled kernels down
    # object by object would only cost a third of a second more.
    os._exit(status)


def _run(arguments: list[str]) -> int:
    """Run the command; return the exit status."""
    try:
        status = app(arguments, prog_name=app.info.name, standalone_mode=False)
    except FabricscopeError as error:
        return _fail(str(error))
    except _UsageError as error:
        return _fail(_explain(error))
    except (typer.Abort, KeyboardInterrupt):
        status = _INTERRUPTED
    if status == _INTERRUPTED:
        return _fail("Interrupted.", _INTERRUPTED)
    return status if isinstance(status, int) else 0


def _explain(error: Exception) -> str:
    """Return what a usage error says, and where to read on."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else app.info.name
    message = " ".join(str(getattr(error, "format_message", error.__str__)()).split())
    return f"{message.rstrip('.')}. Try '{command} --help'."


def _fail(message: str, status: int = 2) -> int:
    sys.stdout.flush()
    print(f"fabricscope: {neutralise(message, _MESSAGE_LIMIT)}", file=sys.stderr)
    return status


def _discard_output() -> None:
    """Let nothing more reach standard output, or Python complains when it is flushed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
