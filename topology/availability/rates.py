"""How often parts of a cluster fail, and how a job lives with it: published figures as defaults."""

import math
from typing import Annotated, NamedTuple

from pydantic import Field

from fabricscope.topology.recovery.durations import DurationSetting, TimeSetting
from fabricscope.topology.recovery.parameters import Parameters, setting

__all__ = ["HOURS_A_MONTH", "Cluster", "Parts", "Rates", "count_parts"]

HOURS_A_MONTH = 730.5
_HPN = "Alibaba HPN, SIGCOMM 2024"
_LINK = f"{_HPN}: links between NIC and ToR, optics included"
_Rate = Annotated[float, Field(ge=0, le=1e6)]


class Rates(Parameters):
    """Failures of one part in a month unless the name says otherwise."""

    gpu: _Rate = setting(0.001, "GPU failures", "1/month", "99.9 % of GPUs survive a month")
    server: _Rate = setting(
        2.34, "other server failures in 1,000 server-days", "1/1,000 days",
        "arXiv 2410.21680: 2.34 and 6.50 on two clusters, GPUs included",
    )  # fmt: skip
    access_link: _Rate = setting(0.00057, "failures of links to a NIC", "1/month", _LINK)
    fabric_link: _Rate = setting(
        0.00057, "failures of links between switches", "1/month", f"assumed as for a NIC: {_LINK}"
    )
    optics: _Rate = setting(
        0.0, "further failures of a transceiver", "1/month", "contained in those of links"
    )
    leaf: _Rate = setting(0.00051, "crashes of a leaf", "1/month", f"{_HPN}: ToR crashes")
    upper_switch: _Rate = setting(
        0.00051, "crashes of a spine or core", "1/month", f"assumed as for a leaf: {_HPN}"
    )
    flaps: _Rate = setting(
        0.15, "flaps of a link", "1/month",
        f"{_HPN}: 5,000-60,000 a day; the lower one over an assumed million links",
    )  # fmt: skip
    flap_length: DurationSetting = setting(
        "0.1s..3s..30s", "how long a flap keeps a link down", "ns", "assumed"
    )
    silent: Annotated[float, Field(ge=0, le=1)] = setting(
        0.05, "share of link and switch failures that no port shows", "", "assumed"
    )


class Cluster(Parameters):
    """A training job over a whole cluster, its transport, and its checkpoints."""

    gpus_per_server: Annotated[int, Field(ge=1, le=1024)] = setting(
        8, "GPUs in a server", "", "DGX and HGX H100"
    )
    radix: Annotated[int, Field(ge=4, le=1024)] = setting(
        64, "ports of a switch, half of them down", "", "51.2 Tb/s switches at 800 Gb/s"
    )
    dual_homed: bool = setting(False, "whether each NIC has a link to two leaves", "", "single ToR")
    nic_timeout: TimeSetting = setting(
        4.096e3 * 2**20, "ACK time-out of a queue pair", "ns", "NCCL_IB_TIMEOUT 20: 4.29 s", gt=0
    )
    nic_retries: Annotated[int, Field(ge=0, le=7)] = setting(
        7, "time-outs before a queue pair fails", "", "NCCL_IB_RETRY_CNT 7"
    )
    window_drain: TimeSetting = setting(
        84e3, "outage after which only a time-out restarts a sender", "ns",
        "4 MiB of credit at 400 Gb/s",
    )  # fmt: skip
    step: TimeSetting = setting(
        42e3, "time between two messages of a queue pair with nothing behind them", "ns",
        "a ring step of 2 MiB at 400 Gb/s: 1 GiB over 512 ranks", gt=0
    )  # fmt: skip
    checkpoint: TimeSetting = setting(
        60e9, "time a checkpoint stops the job", "ns", "assumed", gt=0
    )
    restart: TimeSetting = setting(
        600e9, "time from an interruption to training again", "ns", "assumed"
    )


class Parts(NamedTuple):
    """How many parts there are; optics is the number of transceivers."""

    gpus: int
    servers: int
    access_links: int
    fabric_links: int
    leaves: int
    upper_switches: int
    optics: int


def count_parts(gpus: int, cluster: Cluster) -> Parts:
    """Return the parts of a 1:1 fat tree of two or three tiers for `gpus`, one NIC a GPU.

    Up to radix^2/2 GPUs need two tiers, more of them three (and more tiers beyond radix^3/4 as
    further levels of the same kind).
    """
    half = cluster.radix // 2
    planes = 2 if cluster.dual_homed else 1
    tiers = 2
    while gpus > 2 * half**tiers:
        tiers += 1
    leaves = planes * math.ceil(gpus / half)
    fabric_links = planes * gpus * (tiers - 1)
    upper = planes * ((tiers - 2) * math.ceil(gpus / half) + math.ceil(gpus / cluster.radix))
    access = planes * gpus
    return Parts(
        gpus, math.ceil(gpus / cluster.gpus_per_server), access, fabric_links, leaves, upper,
        2 * (access + fabric_links),
    )  # fmt: skip
