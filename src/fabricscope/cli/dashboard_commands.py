"""The commands around the live site, without what they need."""

from typing import Annotated

import typer

__all__ = ["register", "user_app"]

_USERS = typer.Option(metavar="FILE", help="File of users; empty: ~/.config/fabricscope/users.")
_NAME = typer.Argument(metavar="NAME", help="The user's name.")


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
    users: Annotated[str, _USERS] = "",
    certificate: Annotated[
        str, typer.Option(metavar="FILE.pem", help="Certificate chain, for HTTPS.")
    ] = "",
    key: Annotated[str, typer.Option(metavar="FILE.pem", help="Its private key.")] = "",
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
            users=users,
            certificate=certificate,
            key=key,
        )
    )


user_app = typer.Typer(help="Who may log in to the live site.", no_args_is_help=True)


@user_app.command("add")
def user_add(
    name: Annotated[str, _NAME],
    role: Annotated[
        str, typer.Option(metavar="ROLE", help="viewer, or operator who may change things.")
    ] = "viewer",
    users: Annotated[str, _USERS] = "",
) -> None:
    """Add a user, or change password and role of one; asks for the password."""
    from fabricscope.cli.users import add

    add(name, role, users)


@user_app.command("list")
def user_list(users: Annotated[str, _USERS] = "") -> None:
    """List users and roles."""
    from fabricscope.cli.users import show

    show(users)


@user_app.command("remove")
def user_remove(name: Annotated[str, _NAME], users: Annotated[str, _USERS] = "") -> None:
    """Remove a user; their logins end."""
    from fabricscope.cli.users import remove

    remove(name, users)


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(dashboard)
    app.add_typer(user_app, name="user")
