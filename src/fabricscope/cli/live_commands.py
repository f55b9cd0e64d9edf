"""The commands that watch a running fabric, and those of the store, without what they need."""

from typing import Annotated, Any

import typer

__all__ = ["register", "store_app"]

_STORE = typer.Option(metavar="STORE", help="Where samples are kept: DIR or influx://HOST/DB.")
_NAME = typer.Option("--collector", metavar="NAME", help="Name in the store; empty: the host's.")
_RATE = typer.Option(metavar="GBPS", help="Rate of the hosts' links, for their utilization.")
_KEEP = typer.Option(metavar="TIME", help="How long seconds are kept, as 30d or 12h.")
_SIZE = typer.Option(metavar="SIZE", help="Most that the store may take, as 20G.")
_SECONDS = typer.Option("--duration", metavar="S", help="End after so many seconds; 0: never.")
_RULES = typer.Option(metavar="FILE.toml", help="Rules that raise alerts.")
_BUILT_IN = typer.Option("--no-default-rules", help="Without the built-in rules.")
_METRICS = typer.Option(metavar="HOST:PORT", help="Prometheus endpoint, as 127.0.0.1:9464.")
_OTEL = typer.Option(metavar="URL", help="Push metrics over OTLP, as http://127.0.0.1:4318.")
_QUIET = typer.Option("--quiet", "-q", help="No terminal view.")
_TOPOLOGY = typer.Option(metavar="FILE", help="Fabric that names links, ports and their rates.")
_TAP = typer.Option(metavar="NAME=LINK", help="Link of a tap, as eth2=leaf1-spine1:up.")
_HOST = typer.Option(metavar="ADDRESS=HOST", help="Host or link of an address; may be repeated.")
_CONFIG = typer.Option(metavar="FILE.toml", help="Settings; options go before them.")
_DIRECTORY = typer.Argument(metavar="STORE", help="The store's directory.")


def live(
    context: typer.Context,
    capture: Annotated[
        str, typer.Argument(metavar="[-]", help="- to read a capture from standard input.")
    ] = "",
    interface: Annotated[
        list[str] | None,
        typer.Option(metavar="IF", help="Mirror port of this host; may be repeated."),
    ] = None,
    filter: Annotated[
        str, typer.Option(metavar="EXPRESSION", help="What the kernel lets through, as tcpdump.")
    ] = "",
    listen: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND", help="Mirrors in erspan, vxlan or gre; sflow; may be repeated."
        ),
    ] = None,
    sflow_port: Annotated[int, typer.Option(metavar="PORT", help="UDP port of sFlow.")] = 6343,
    counters: Annotated[
        str, typer.Option(metavar="IF,...|all", help="Counters of this host's own ports.")
    ] = "",
    gnmi: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Switch that streams counters; may be repeated."),
    ] = None,
    processes: Annotated[
        int, typer.Option(metavar="N", help="Processes that share the interfaces' packets.")
    ] = 1,
    topology: Annotated[str, _TOPOLOGY] = "",
    tap: Annotated[list[str] | None, _TAP] = None,
    host: Annotated[list[str] | None, _HOST] = None,
    store: Annotated[str, _STORE] = "",
    collector: Annotated[str, _NAME] = "",
    link_rate: Annotated[float, _RATE] = 100.0,
    keep: Annotated[str, _KEEP] = "30d",
    max_size: Annotated[str, _SIZE] = "",
    user: Annotated[
        str, typer.Option(metavar="NAME", help="Become this user once the ports are open.")
    ] = "",
    ring: Annotated[int, typer.Option(metavar="MIB", help="Memory of each port's ring.")] = 128,
    hardware_time: Annotated[
        bool, typer.Option("--hardware-time", help="Take the network card's timestamps.")
    ] = False,
    duration: Annotated[float, _SECONDS] = 0.0,
    rules: Annotated[str, _RULES] = "",
    no_default_rules: Annotated[bool, _BUILT_IN] = False,
    metrics: Annotated[str, _METRICS] = "",
    otel: Annotated[str, _OTEL] = "",
    quiet: Annotated[bool, _QUIET] = False,
    config: Annotated[str, _CONFIG] = "",
    check: Annotated[
        bool, typer.Option("--check", help="Show the settings in force, try them, and end.")
    ] = False,
) -> None:
    """Watch mirror ports: rates, drops, links by health, jobs and their bus bandwidth."""
    from fabricscope.cli.live import check_live, run_live
    from fabricscope.config import settle

    settled = settle(config, _given(context))
    if check:
        check_live(capture, settled)
    else:
        run_live(capture, settled)


def replay(
    context: typer.Context,
    capture: Annotated[str, typer.Argument(metavar="CAPTURE", help="Capture file.")],
    speed: Annotated[
        float, typer.Option(metavar="X", help="Times its own pace; 0: as fast as possible.")
    ] = 1.0,
    loops: Annotated[
        int, typer.Option(metavar="N", help="How often it is played; 0: for ever.")
    ] = 1,
    original_time: Annotated[
        bool, typer.Option("--original-time", help="Keep its times; else it begins now.")
    ] = False,
    topology: Annotated[str, _TOPOLOGY] = "",
    tap: Annotated[list[str] | None, _TAP] = None,
    host: Annotated[list[str] | None, _HOST] = None,
    store: Annotated[str, _STORE] = "",
    collector: Annotated[str, _NAME] = "",
    link_rate: Annotated[float, _RATE] = 100.0,
    keep: Annotated[str, _KEEP] = "30d",
    max_size: Annotated[str, _SIZE] = "",
    duration: Annotated[float, _SECONDS] = 0.0,
    rules: Annotated[str, _RULES] = "",
    no_default_rules: Annotated[bool, _BUILT_IN] = False,
    metrics: Annotated[str, _METRICS] = "",
    otel: Annotated[str, _OTEL] = "",
    quiet: Annotated[bool, _QUIET] = False,
    config: Annotated[str, _CONFIG] = "",
) -> None:
    """Run a capture through the live pipeline at its own pace."""
    from fabricscope.cli.live import run_replay
    from fabricscope.config import settle

    run_replay(capture, settle(config, _given(context)), speed, loops, original_time)


_NOT_SETTINGS = ("capture", "config", "check", "speed", "loops", "original_time")


def _given(context: typer.Context) -> dict[str, Any]:
    """Return the settings that the command line gives, without the defaults."""
    from fabricscope.cli.live_settings import parse_pairs

    given = {}
    for name, value in context.params.items():
        source = context.get_parameter_source(name)
        if name not in _NOT_SETTINGS and source is not None and source.name == "COMMANDLINE":
            given[name] = value
    for option, table in (("tap", "taps"), ("host", "hosts")):
        if option in given:
            given[table] = parse_pairs(f"--{option}", given.pop(option))
    return given


store_app = typer.Typer(help="What collectors kept: size, upkeep, export.", no_args_is_help=True)


@store_app.command("info")
def store_info(store: Annotated[str, _DIRECTORY]) -> None:
    """List the tables of a store with their rows, files, size and span."""
    from rich.console import Console

    from fabricscope.cli.store import print_info

    print_info(store, Console())


@store_app.command("compact")
def store_compact(store: Annotated[str, _DIRECTORY]) -> None:
    """Join small files and delete those no longer needed."""
    from rich.console import Console

    from fabricscope.cli.store import compact

    compact(store, Console())


@store_app.command("export")
def store_export(
    store: Annotated[str, _DIRECTORY],
    table: Annotated[str, typer.Argument(metavar="TABLE", help="Table, as `info` lists them.")],
    out: Annotated[str, typer.Argument(metavar="OUT", help="File: .csv, .parquet or .json.")],
) -> None:
    """Write a table to a CSV, Parquet or JSON-lines file."""
    from rich.console import Console

    from fabricscope.cli.store import export

    export(store, table, out, Console())


@store_app.command("query")
def store_query(
    store: Annotated[str, _DIRECTORY],
    sql: Annotated[str, typer.Argument(metavar="SQL", help="SELECT over the tables' names.")],
    csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
) -> None:
    """Answer an SQL SELECT over the tables."""
    from rich.console import Console

    from fabricscope.cli.store import query

    query(store, sql, csv, Console())


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(live)
    app.command()(replay)
    app.add_typer(store_app, name="store")
