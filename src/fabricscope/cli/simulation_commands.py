"""The commands of failover simulation, without what they need to run."""

from typing import Annotated

import typer

from fabricscope.cli.options import Json, Profile, Quiet, Report, Seed

__all__ = ["register"]


def simulate(
    scenario: Annotated[
        str, typer.Argument(metavar="[SCENARIO.toml]", help="What to simulate.", show_default=False)
    ] = "",
    fabric: Annotated[
        str, typer.Option(metavar="SPEC", help="Fabric, such as leaf-spine:8x4x16@400G, or a file.")
    ] = "",
    fail: Annotated[
        list[str] | None,
        typer.Option(metavar="SPEC", help="Failure, such as leaf3-spine1@1ms; may be repeated."),
    ] = None,
    workload: Annotated[
        list[str] | None,
        typer.Option(metavar="SPEC", help="Job, such as allreduce:ring:1GiB; may be repeated."),
    ] = None,
    workload_from: Annotated[
        str, typer.Option(metavar="CAPTURE", help="Take the collectives of a capture as workload.")
    ] = "",
    recovery: Annotated[
        str, typer.Option(metavar="NAME,...", help="Schemes, such as dpfr,bgp,bfd,none.")
    ] = "",
    profile: Profile = "",
    balancing: Annotated[
        str,
        typer.Option(metavar="KIND", help="ecmp, polarised, qp-scaling, spray, flowlet, pinned."),
    ] = "",
    engine: Annotated[str, typer.Option(metavar="NAME", help="auto, flow, packet or hybrid.")] = "",
    repetitions: Annotated[
        int, typer.Option(metavar="N", help="Runs of each scheme, each with its own chance.")
    ] = 0,
    seed: Seed = -1,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one key, e.g. nic.mtu=1024."),
    ] = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=V1,V2", help="Run every value of a key; may be repeated."),
    ] = None,
    tap: Annotated[
        list[str] | None,
        typer.Option(metavar="LINK", help="Link to mirror for --capture; may be repeated."),
    ] = None,
    jobs: Annotated[int, typer.Option(metavar="N", help="Processes; 0: one a core.")] = 0,
    json: Json = "",
    report: Report = "",
    capture: Annotated[
        str, typer.Option(metavar="OUT.pcap", help="Write what the taps see, for `analyze`.")
    ] = "",
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema.")] = False,
    quiet: Quiet = False,
) -> None:
    """Say what a failed link or switch costs a training job under each recovery scheme."""
    from fabricscope.cli.simulate import Request, print_schema, run

    if schema:
        print_schema()
        raise typer.Exit
    raise typer.Exit(
        run(
            Request(
                scenario=scenario,
                fabric=fabric,
                fail=tuple(fail or ()),
                workload=tuple(workload or ()),
                workload_from=workload_from,
                recovery=recovery,
                profile=profile,
                balancing=balancing,
                engine=engine,
                repetitions=repetitions,
                seed=seed,
                settings=tuple(settings or ()),
                sweep=tuple(sweep or ()),
                tap=tuple(tap or ()),
                jobs=jobs,
                json=json,
                report=report,
                capture=capture,
                quiet=quiet,
            )
        )
    )


def availability(
    gpus: Annotated[
        str, typer.Option(metavar="N,...", help="Sizes of the cluster, in GPUs.")
    ] = "1024,16384,100000",
    recovery: Annotated[
        str, typer.Option(metavar="NAME,...", help="Recovery schemes to compare.")
    ] = "dpfr,bgp,none",
    profile: Profile = "asic",
    months: Annotated[int, typer.Option(metavar="N", help="Months to draw.")] = 1000,
    seed: Seed = 1,
    interval: Annotated[
        str,
        typer.Option(metavar="TIME", help="Work between checkpoints; left out: the best one."),
    ] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a rate, e.g. nic_timeout=16.8ms."),
    ] = None,
    json: Json = "",
    report: Report = "",
    quiet: Quiet = False,
) -> None:
    """Say how often failures interrupt training in a month, and what fast recovery saves."""
    from fabricscope.cli.availability import Request, run

    raise typer.Exit(
        run(
            Request(
                gpus=gpus,
                recovery=recovery,
                profile=profile,
                months=months,
                seed=seed,
                interval=interval,
                settings=tuple(settings or ()),
                json=json,
                report=report,
                quiet=quiet,
            )
        )
    )


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(simulate)
    app.command()(availability)
