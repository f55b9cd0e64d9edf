"""The comparison's results as Markdown, and figures recorded elsewhere; nothing here measures."""

from dataclasses import dataclass
from typing import Final

from measurement import Run
from scenarios import HOP_NS, PACKET_BYTES, RATE_GBPS, Scenario
from simulators import BARE, FLOW, FLOWS, PACKET, PACKETS, Absent, Simulator


@dataclass(frozen=True)
class Outcome:
    """The median run of a simulator on a scenario; figures as ours.py prints them, None if none."""

    scenario: str
    simulator: Simulator
    run: Run
    figures: dict[str, float] | None
    repeats: int


@dataclass(frozen=True)
class Recorded:
    """Figures of a program that cannot be installed by name, measured before."""

    program: str
    cpu_s: str = "-"
    events_per_s: str = "-"
    packets_per_s: str = "-"
    known_us: str = "-"


RECORDED: Final = {
    "one flow": (Recorded("csg-htsim RoCE (PFC)", known_us="171.5-172.7"),),
    "incast": (Recorded("csg-htsim RoCE (PFC)", known_us="1,310.9-1,329.3"),),
    "S1": (
        Recorded("csg-htsim RoCE (PFC, ECMP)", "2.0-2.2", "2.6-2.9 M", "114-125 k"),
        Recorded("csg-htsim NDP (spraying)", "3.3-4.0", "1.6-2.0 M", "62-76 k"),
        Recorded("UEC htsim", "2.3-3.2", "1.3-1.8 M", "80-108 k"),
        Recorded("ns-3 RDMA fork, 128 hosts, 256 k packets of 1,000 B", "6.6", "1.04 M", "39 k"),
    ),
    "S2": (
        Recorded("csg-htsim NDP (spraying), 63 steps", "81-98"),
        Recorded("UEC htsim, 63 steps", "26-36"),
    ),
    "ring": (Recorded("ASTRA-sim analytical, ring network", "0.92"),),
}
"""htsim and the others of these rows are not packaged; they are not run here."""


def write_report(
    outcomes: list[Outcome],
    *,
    scenarios: list[Scenario],
    machine: str,
    load: str,
    date: str,
    command: str,
    absent: list[Absent],
) -> str:
    """Return the report: what was compared, then a table for each scenario and level."""
    simulators = {o.simulator.name: o.simulator.models for o in outcomes}
    lines = [
        "# Simulators compared",
        "",
        f"Made by `{command}` on {date}; do not edit.",
        "",
        f"Machine: {machine}. Load before the start (1, 5, 15 minutes): {load}.",
        "Every program ran in turns with the others, one at a time, in one thread; the median by",
        "CPU time counts.",
        "",
        f"Fabrics are leaf-spine, {RATE_GBPS} Gb/s and {HOP_NS / 1000:g} us a hop; packets have",
        f"{PACKET_BYTES:,} B on the wire, headers included. All programs read the same file of",
        "flows and the spines that they take.",
        "",
        "- *Run* is the simulation alone: not the start of the process, not the making of fabric,",
        "  routes and flows and, of ours, not the loading of kernels, compiled before. *Process*",
        "  is all of it. Rates are by CPU time of the run. *Peak* is the process's resident set.",
        "- *Makespan*: the last flow has arrived; in brackets how far from ours of the same",
        "  kind (packet level: the bare one). *Known*: the last sender has its acknowledgement.",
        "- *Ours is faster by*: CPU time of the run, against Fabricscope as it is used (PFC, ECN",
        "  and DCQCN on); in brackets by wall time.",
        "- *Recorded* rows are constants, measured before on a machine of this class and not here,",
        "  since those programs cannot be installed by name.",
        "",
        "| program | what it models |",
        "|---|---|",
        *(f"| {name} | {models} |" for name, models in simulators.items()),
        "",
        *(f"Not here: {a.name}; {a.advice}.\n" for a in absent),
    ]
    lines += _summarise(outcomes)
    for scenario in scenarios:
        own = [o for o in outcomes if o.scenario == scenario.name]
        lines += _describe(scenario)
        for level in (PACKET, FLOW):
            lines += _list(scenario, [o for o in own if o.simulator.level == level], level)
    return "\n".join(lines).rstrip() + "\n"


def _summarise(outcomes: list[Outcome]) -> list[str]:
    """Return how much faster ours is than each peer, and how far the makespans are apart."""
    rows = []
    for o in outcomes:
        own = [other for other in outcomes if other.scenario == o.scenario]
        packets = o.simulator.level == PACKET
        ours = _find(own, PACKETS if packets else FLOWS)
        alike = _find(own, BARE if packets else FLOWS)
        times = _compare(o, ours)
        if times != "-":
            rows.append(
                f"| {o.scenario} | {o.simulator.level} | {o.simulator.name} | {times} "
                f"| {_differ(o, alike)} |"
            )
    head = ["| scenario | level | peer | ours is faster by | its makespan from ours |"]
    return ["## In short", "", *head, "|---|---|---|---|---|", *rows, ""]


def _describe(scenario: Scenario) -> list[str]:
    shape = f"Leaves x spines x hosts: {scenario.leaves} x {scenario.spines} x {scenario.hosts}"
    flows = len(scenario.flows.source)
    counts = f"{_count(flows, 'flow')}, {_count(scenario.data_packets, 'data packet')}"
    return [f"## {scenario.name}", "", f"{scenario.text}. {shape}; {counts}.", ""]


def _list(scenario: Scenario, outcomes: list[Outcome], level: str) -> list[str]:
    if not outcomes:
        return []
    ours = _find(outcomes, PACKETS if level == PACKET else FLOWS)
    alike = _find(outcomes, BARE if level == PACKET else FLOWS)
    counted = "data packets" if level == PACKET else "flows"
    lines = [
        f"### {level.capitalize()} level",
        "",
        f"| program | run s | run CPU s | events/s | {counted}/s | process s | peak MB "
        "| makespan us | known us | ours is faster by | runs |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *(_row(o, ours, alike) for o in outcomes),
    ]
    recorded = RECORDED.get(scenario.name, ())
    if recorded and (level == PACKET) != (scenario.name == "ring"):
        lines += [
            f"| *recorded:* {r.program} | - | {r.cpu_s} | {r.events_per_s} | {r.packets_per_s} | - "
            f"| - | - | {r.known_us} | - | - |"
            for r in recorded
        ]
    return [*lines, ""]


def _row(o: Outcome, ours: Outcome | None, alike: Outcome | None) -> str:
    figures = o.figures
    if figures is None:
        blank = "| - " * 7
        return f"| {o.simulator.name} | failed (status {o.run.status}) {blank}| - | {o.repeats} |"
    process = f"{o.run.wall_s:.2f} | {figures['peak_bytes'] / 1e6:.0f}"
    cpu_s = figures["run_cpu_s"]
    counted = "data_packets" if o.simulator.level == PACKET else "flows"
    rates = [_round(figures[key] / cpu_s) if figures[key] else "-" for key in ("events", counted)]
    makespan = f"{figures['makespan_ns'] / 1e3:,.1f}"
    if alike is not o:
        makespan += f" ({_differ(o, alike)})"
    known = f"{figures['acknowledged_ns'] / 1e3:,.1f}" if figures["acknowledged_ns"] else "-"
    return (
        f"| {o.simulator.name} | {figures['run_s']:.4f} | {cpu_s:.4f} | {' | '.join(rates)} "
        f"| {process} | {makespan} | {known} | {_compare(o, ours)} | {o.repeats} |"
    )


def _differ(o: Outcome, alike: Outcome | None) -> str:
    """Return how far the makespan is from that of our engine of the same kind."""
    if not (alike and alike.figures and o.figures):
        return "-"
    return f"{o.figures['makespan_ns'] / alike.figures['makespan_ns'] - 1:+.2%}"


def _compare(o: Outcome, ours: Outcome | None) -> str:
    """Return how many times longer a peer takes than our engine of that level."""
    if o.simulator.ours or not (ours and ours.figures and o.figures):
        return "-"
    cpu, wall = (_round(o.figures[key] / ours.figures[key]) for key in ("run_cpu_s", "run_s"))
    return f"{cpu} ({wall})"


def _find(outcomes: list[Outcome], name: str) -> Outcome | None:
    return next((o for o in outcomes if o.simulator.name == name), None)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _round(value: float) -> str:
    """Return a number with three significant digits."""
    if value < 100:
        return f"{value:.3g}"
    digits = len(str(int(value))) - 3
    return f"{round(value, -digits):,.0f}"
