"""The commands around the live site, without what they need."""

from typing import Annotated

import typer

__all__ = ["register"]


def dashboard(
    store: Annotated[
        str,
        typer.Option(metavar="STORE", help="What collectors kept: DIR or influx://HOST/DATABASE."),
    ] = "",
    topology: Annotated[
        str, typer.Option(metavar="FABRIC", help="The fabric: a file, a short form or a preset.")
    ] = "",
    captures: Annotated[
        str, typer.Option(metavar="DIR", help="Folder of captures that may be opened.")
    ] = "",
    host: Annotated[str, typer.Option(metavar="HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="PORT", help="TCP port to listen on.")] = 8050,
    upload_limit: Annotated[
        int, typer.Option(metavar="MIB", help="Largest capture that may be uploaded; 0: none.")
    ] = 256,
) -> None:
    """Show the fabric live in a browser."""
    from fabricscope.cli.dashboard import DashboardRequest, run

    run(
        DashboardRequest(
            store=store,
            topology=topology,
            captures=captures,
            host=host,
            port=port,
            upload_limit_mib=upload_limit,
        )
    )


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(dashboard)
