"""What counters say a port did: the rows that sFlow agents and this host's counters give.

Only the shape; scores and tables are made of it by the pipeline.
"""

from dataclasses import dataclass

__all__ = ["PortInterval"]


@dataclass(frozen=True, slots=True)
class PortInterval:
    """One direction of a port between two looks at its counters.

    port: its own name, which a topology may translate. direction: `up` is what a host sent or a
    switch port received, `down` the other way. rate_gbps: None while unknown. rx_power_dbm: the
    least of the lanes, None when unknown. notes: what the numbers cannot hold, a few words each.
    """

    port: str
    direction: str
    interval_ns: int
    rate_gbps: float | None = None
    packets: int = 0
    bytes: int = 0
    errors: int = 0
    discards: int = 0
    flaps: int = 0
    down_ns: int = 0
    ecn_capable: int = 0
    ecn_marked: int = 0
    pause_ns: int = 0
    naks: int = 0
    cnps: int = 0
    rx_power_dbm: float | None = None
    notes: tuple[str, ...] = ()
