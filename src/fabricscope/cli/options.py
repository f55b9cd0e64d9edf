"""Options that several commands share, each with one help text."""

from typing import Annotated

import typer

__all__ = ["Json", "Profile", "Quiet", "Report", "Seed", "Signatures"]

Json = Annotated[
    str, typer.Option(metavar="FILE", help="Write the results as JSON; - for standard output.")
]
Report = Annotated[
    str, typer.Option(metavar="FILE.html", help="Write one self-contained HTML page.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no report.")]
Seed = Annotated[int, typer.Option(metavar="S", help="Seed of all chance.")]
Profile = Annotated[str, typer.Option(metavar="NAME", help="Recovery parameters: asic or frr.")]
Signatures = Annotated[
    list[str] | None,
    typer.Option(
        "--signatures", metavar="DIR", help="Folder of your own signature files; may be repeated."
    ),
]
