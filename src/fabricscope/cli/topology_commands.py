"""The commands of `fabricscope topology`, without what they need to run."""

from typing import Annotated

import typer

from fabricscope.cli.options import Report

__all__ = ["topology_app"]

topology_app = typer.Typer(
    help="Fabrics: draw and check them, build them, read and write their files.",
    no_args_is_help=True,
)
_FABRIC = typer.Argument(
    metavar="FABRIC", help="Short form such as leaf-spine:8x4x16@400G, a preset's name, or a file."
)
_OUT = typer.Argument(metavar="OUT", help="File to write; - for standard output.")
_RATE = typer.Option(metavar="RATE", help="Of links whose rate the file does not state, as 400G.")
_FORMAT = typer.Option("--format", metavar="NAME", help="File format; see `topology list`.")


@topology_app.command("show")
def topology_show(
    fabric: Annotated[str, _FABRIC],
    plan: Annotated[
        str, typer.Option(metavar="FABRIC", help="What it should be cabled like.")
    ] = "",
    rate: Annotated[str, _RATE] = "",
    report: Report = "",
) -> None:
    """Draw a fabric tier by tier, count what it needs, and check its cabling."""
    from rich.console import Console

    from fabricscope.cli.topology import show

    show(fabric, plan, rate, report, Console())


@topology_app.command("build")
def topology_build(
    spec: Annotated[
        str, typer.Argument(metavar="SPEC", help="Short form or preset; see `topology list`.")
    ],
    out: Annotated[str, _OUT] = "-",
    form: Annotated[str, _FORMAT] = "",
) -> None:
    """Build a fabric and write it, by default as the project's TOML."""
    from rich.console import Console

    from fabricscope.cli.topology import make

    make(spec, out, form, Console())


@topology_app.command("import")
def topology_import(
    source: Annotated[
        str, typer.Argument(metavar="FILE", help="File, or folder of lldpctl -f json outputs.")
    ],
    out: Annotated[str, _OUT] = "-",
    form: Annotated[str, _FORMAT] = "",
    rate: Annotated[str, _RATE] = "",
    plan: Annotated[
        str, typer.Option(metavar="FABRIC", help="What it should be cabled like; kept in OUT.")
    ] = "",
) -> None:
    """Read a fabric from another program's file and write it as the project's TOML."""
    from rich.console import Console

    from fabricscope.cli.topology import import_file

    import_file(source, out, form, rate, plan, Console())


@topology_app.command("export")
def topology_export(
    fabric: Annotated[str, _FABRIC],
    out: Annotated[str, _OUT],
    form: Annotated[str, _FORMAT] = "",
) -> None:
    """Write a fabric for another program, in the format of the file's suffix."""
    from rich.console import Console

    from fabricscope.cli.topology import convert

    convert(fabric, out, form, Console())


@topology_app.command("list")
def topology_list() -> None:
    """List the presets, the short forms and the file formats."""
    from rich.console import Console

    from fabricscope.cli.topology import list_known

    list_known(Console())
