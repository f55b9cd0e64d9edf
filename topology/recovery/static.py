"""`none`: static equal-cost routes; nothing ever changes them."""

import numpy as np

from fabricscope.topology.recovery.parameters import Parameters
from fabricscope.topology.recovery.plan import Plan, Situation

__all__ = ["Static", "StaticParameters"]


class StaticParameters(Parameters):
    """Static routes have none."""


class Static:
    """Packets into a dead port are lost until it is repaired."""

    def __init__(self, name: str, parameters: StaticParameters) -> None:
        """Take nothing but a name."""
        self.name = name
        self.parameters = parameters

    def plan(self, situation: Situation, rng: np.random.Generator) -> Plan:
        """Return a plan without changes."""
        return Plan((), notes=("static routes change for no failure",))
