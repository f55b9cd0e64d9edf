"""`prr` and `reps`: hosts take another path themselves; no switch changes anything.

PRR (protective reroute) gives a flow a new label after a time-out, which hashes to another path;
REPS sprays packets over many labels and drops those whose ACK is missing. Switches may converge
beneath.
"""

import numpy as np

from fabricscope.topology.recovery.durations import DurationSetting
from fabricscope.topology.recovery.parameters import Parameters, setting
from fabricscope.topology.recovery.plan import Plan, Scheme, Situation

__all__ = ["HostBased", "PrrParameters", "RepsParameters"]


class PrrParameters(Parameters):
    """Google's figures are relative (63-84 % less outage time); the time-out is the transport's."""

    relabel: DurationSetting = setting(
        "0.2ms..1ms", "silence after which a sender takes another path", "ns",
        "assumed: a few round trips of a data-centre transport (PRR reacts at RTT scale)",
    )  # fmt: skip
    fallback: str = setting("bgp", "routing that runs beneath, or none", "", "hosts on any fabric")


class RepsParameters(Parameters):
    """Spraying with labels that proved to work."""

    relabel: DurationSetting = setting(
        "50us..100us", "silence after which a sender drops a label", "ns",
        "arXiv 2407.21625: below 100 us",
    )  # fmt: skip
    fallback: str = setting("bgp", "routing that runs beneath, or none", "", "hosts on any fabric")


class HostBased:
    """Senders that relabel, over the routing `beneath`."""

    def __init__(
        self, name: str, parameters: PrrParameters | RepsParameters, beneath: Scheme | None
    ) -> None:
        """Take the parameters, and what runs beneath."""
        self.name = name
        self.parameters = parameters
        self.beneath = beneath

    def plan(self, situation: Situation, rng: np.random.Generator) -> Plan:
        """Return the senders' time-out, and what routing beneath does."""
        below = self.beneath.plan(situation, rng) if self.beneath else Plan(())
        return Plan(below.changes, relabel_ns=self.parameters.relabel.draw(rng), notes=below.notes)
