"""What a traffic recipe may say; loading.py reads one, nothing here makes traffic."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

TUNNEL_KINDS = ("vlan", "vxlan", "erspan1", "erspan2", "erspan3", "gre", "gretap")

Place = Literal["uplink", "fabric", "downlink"]
Ratio = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]
Index = Annotated[int, Field(ge=0)]
Microseconds = Annotated[float, Field(ge=0.0, le=1e9)]


class Part(BaseModel):
    """Base of all parts: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Network(Part):
    """Hosts, links and addresses."""

    hosts: Annotated[int, Field(ge=2, le=1024)] = 4
    ip_version: Literal[4, 6] = 4
    roce: Literal[1, 2] = 2
    link_gbps: Annotated[float, Field(gt=0.0, le=1600.0)] = 100.0
    latency_us: Annotated[float, Field(ge=0.1, le=1e6)] = 4.0
    jitter_us: Annotated[float, Field(ge=0.0, le=1e6)] = 0.1
    mtu: Literal[256, 512, 1024, 2048, 4096] = 4096
    dscp: Annotated[int, Field(ge=0, le=63)] = 26
    ecn_queue_us: Microseconds = 0.0


class Transport(Part):
    """Queue pair behaviour."""

    ack_timeout_us: Annotated[float, Field(ge=1.0, le=1e8)] = 67_000.0
    ack_delay_us: Microseconds = 0.5
    ack_every_packets: Annotated[int, Field(ge=0)] = 0
    window_packets: Annotated[int, Field(ge=1, le=65_536)] = 512
    retries: Annotated[int, Field(ge=0, le=7)] = 7
    initial_psn: Literal["random"] | Annotated[int, Field(ge=0, lt=1 << 24)] = 0
    out_of_order: Literal["nak", "tolerate"] = "nak"
    cnp_interval_us: Annotated[float, Field(gt=0.0, le=1e6)] = 50.0
    rate_recovery_us: Annotated[float, Field(gt=0.0, le=1e7)] = 300.0


class Tap(Part):
    """A mirror source: where packets are copied, and how wrong its clock is."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
    place: Literal["ingress", "egress", "leaf"] = "ingress"
    hosts: tuple[Index, ...] = ()
    offset_us: float = 0.0
    drift_ppm: Annotated[float, Field(ge=-500.0, le=500.0)] = 0.0


class Capture(Part):
    """How the taps record."""

    snaplen: Annotated[int, Field(ge=0, le=262_144)] = 0
    start_s: Annotated[int, Field(ge=1, lt=1 << 32)] = 1_750_000_000
    taps: tuple[Tap, ...] = (Tap(name="tap"),)

    @model_validator(mode="after")
    def _distinct_names(self) -> "Capture":
        if not self.taps or len({tap.name for tap in self.taps}) != len(self.taps):
            raise ValueError("taps need at least one entry and distinct names")
        return self


class Encapsulation(Part):
    """Tags and tunnels around every frame, outermost first, e.g. "erspan2+vxlan"."""

    kind: str = "none"
    vlan: Annotated[int, Field(ge=1, le=4094)] = 100
    vni: Annotated[int, Field(ge=0, lt=1 << 24)] = 5001
    session: Annotated[int, Field(ge=0, lt=1 << 10)] = 10
    key: Annotated[int, Field(ge=0, lt=1 << 32)] = 77
    ip_version: Literal[4, 6] = 4

    @model_validator(mode="after")
    def _known_kinds(self) -> "Encapsulation":
        unknown = [kind for kind in self.kinds if kind not in TUNNEL_KINDS]
        if unknown or len(self.kinds) > 4:
            raise ValueError(f"kind is none or up to four of {', '.join(TUNNEL_KINDS)} with +")
        return self

    @property
    def kinds(self) -> tuple[str, ...]:
        """Layers, outermost first."""
        return () if self.kind == "none" else tuple(self.kind.split("+"))


class Collective(Part):
    """A collective operation that a job repeats."""

    kind: Literal["allreduce", "allgather", "reducescatter", "alltoall", "broadcast", "p2p"]
    algorithm: Literal["ring", "tree", "halving_doubling", "direct"] = "ring"
    ranks: tuple[Index, ...] = ()
    channels: Annotated[int, Field(ge=1, le=64)] = 1
    message_bytes: Annotated[int, Field(ge=1, le=1 << 40)] = 1 << 20
    buckets: tuple[Annotated[int, Field(ge=1, le=1 << 40)], ...] = ()
    slice_bytes: Annotated[int, Field(ge=256, le=1 << 30)] = 524_288
    iterations: Annotated[int, Field(ge=1, le=100_000)] = 1
    micro_batches: Annotated[int, Field(ge=1, le=4096)] = 1
    compute_us: Microseconds = 100.0
    start_us: Microseconds = 0.0
    credits: bool = True
    split_immediate: bool = False
    connect: bool = False

    @model_validator(mode="after")
    def _algorithm_fits(self) -> "Collective":
        fits = {
            "allreduce": ("ring", "tree", "halving_doubling"),
            "allgather": ("ring",),
            "reducescatter": ("ring",),
            "alltoall": ("direct",),
            "broadcast": ("ring", "tree"),
            "p2p": ("direct", "ring"),
        }[self.kind]
        if self.algorithm not in fits:
            raise ValueError(f"algorithm of {self.kind} is one of {', '.join(fits)}")
        if len(set(self.ranks)) != len(self.ranks) or len(self.ranks) == 1:
            raise ValueError("ranks are two or more different hosts")
        count = len(self.ranks)
        if self.algorithm == "halving_doubling" and count & (count - 1):
            raise ValueError("halving_doubling needs a power of two of ranks")
        return self


class Bulk(Part):
    """Plain streams of messages between host pairs."""

    kind: Literal["bulk"]
    pairs: tuple[tuple[Index, Index], ...] = ((0, 1),)
    operation: Literal["send", "write", "read", "fetch_add", "cmp_swap"] = "write"
    transport: Literal["rc", "uc", "ud"] = "rc"
    immediate: bool = False
    queue_pairs: Annotated[int, Field(ge=1, le=65_536)] = 1
    messages: Annotated[int, Field(ge=1, le=50_000_000)] = 10
    message_bytes: Annotated[int, Field(ge=0, le=1 << 30)] = 65_536
    outstanding: Annotated[int, Field(ge=1, le=64)] = 8
    interval_us: Microseconds = 0.0
    start_us: Microseconds = 0.0
    connect: bool = False

    @model_validator(mode="after")
    def _operation_fits(self) -> "Bulk":
        if any(source == destination for source, destination in self.pairs):
            raise ValueError("a pair is two different hosts")
        if self.transport == "ud" and (self.operation != "send" or self.message_bytes > 4096):
            raise ValueError("transport ud carries send of one packet only")
        if self.transport == "uc" and self.operation not in ("send", "write"):
            raise ValueError("transport uc carries send and write only")
        return self


class Load(Part):
    """Many queue pairs with WRITE traffic, sized by the number of packets."""

    kind: Literal["load"]
    packets: Annotated[int, Field(ge=1000, le=100_000_000)] = 100_000
    queue_pairs: Annotated[int, Field(ge=1, le=65_536)] = 64
    message_bytes: Annotated[int, Field(ge=1, le=1 << 24)] = 32_768


class Background(Part):
    """TCP or UDP flows beside the RDMA traffic; they take no part in the simulation."""

    kind: Literal["tcp", "udp"]
    pairs: tuple[tuple[Index, Index], ...] = ((0, 1),)
    port: Annotated[int, Field(ge=1, le=65_535)] = 443
    packets: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    payload_bytes: Annotated[int, Field(ge=18, le=1400)] = 1000
    interval_us: Annotated[float, Field(ge=0.01, le=1e9)] = 100.0
    start_us: Microseconds = 0.0


class FlowChoice(Part):
    """Which queue pair directions a fault hits; what is left out matches all."""

    src: Index | None = None
    dst: Index | None = None
    queue_pair: Index | None = None
    workload: Index | None = None


class PacketFault(Part):
    """Loss, marks and overtaking, at random or at listed packets (counted from 0) of a flow."""

    kind: Literal["loss", "reorder", "ce", "ack_loss"]
    flow: FlowChoice = FlowChoice()
    where: Place = "fabric"
    ratio: Ratio = 0.0
    packets: tuple[Index, ...] = ()
    burst: Annotated[int, Field(ge=1, le=4096)] = 1
    start_us: Microseconds = 0.0
    stop_us: Microseconds = 1e9

    @model_validator(mode="after")
    def _one_way(self) -> "PacketFault":
        if (self.ratio > 0) == bool(self.packets):
            raise ValueError("give either ratio or packets")
        if self.packets and self.kind in ("ce", "ack_loss"):
            raise ValueError("ce and ack_loss take a ratio")
        return self


class MessageFault(Part):
    """Faults at a message (counted from 0) of a flow."""

    kind: Literal["tail_loss", "rnr", "access_error"]
    flow: FlowChoice = FlowChoice()
    message: Index = 0
    count: Annotated[int, Field(ge=1, le=64)] = 1
    where: Place = "fabric"
    timer: Annotated[int, Field(ge=0, le=31)] = 12


class Stall(Part):
    """The sender falls silent before the given packet."""

    kind: Literal["stall"]
    flow: FlowChoice = FlowChoice()
    packet: Index = 0


class Pause(Part):
    """A switch stops a host's port with PFC or PAUSE frames."""

    kind: Literal["pfc", "pause"]
    host: Index = 0
    priority: Annotated[int, Field(ge=0, le=7)] = 3
    start_us: Microseconds = 0.0
    storms: Annotated[int, Field(ge=1, le=10_000)] = 1
    interval_us: Annotated[float, Field(gt=0.0, le=1e9)] = 1000.0
    duration_us: Annotated[float, Field(gt=0.0, le=1e7)] = 100.0
    quanta: Annotated[int, Field(ge=1, le=65_535)] = 65_535
    refresh_us: Annotated[float, Field(gt=0.0, le=1e6)] = 50.0
    resume: bool = True


class Mirror(Part):
    """Copies or losses made by the mirror port, not by the network."""

    kind: Literal["mirror_loss", "mirror_duplicate"]
    tap: str = ""
    ratio: Ratio = 0.0
    frames: tuple[Count, ...] = ()
    delay_us: Annotated[float, Field(ge=0.0, le=1000.0)] = 2.0

    @model_validator(mode="after")
    def _one_way(self) -> "Mirror":
        if (self.ratio > 0) == bool(self.frames):
            raise ValueError("give either ratio or frames")
        return self


class SlowRank(Part):
    """A host computes longer from an iteration on."""

    kind: Literal["slow_rank"]
    host: Index = 0
    late_us: Annotated[float, Field(gt=0.0, le=1e8)] = 1000.0
    from_iteration: Index = 0
    every: Count = 1


class SlowLink(Part):
    """A host's link runs at a lower rate."""

    kind: Literal["slow_link"]
    host: Index = 0
    direction: Literal["up", "down"] = "up"
    rate_gbps: Annotated[float, Field(gt=0.0, le=1600.0)] = 10.0


class ConnectionFault(Part):
    """A connection manager exchange that ends without data."""

    kind: Literal["cm_refused", "cm_closed"]
    src: Index = 0
    dst: Index = 1
    start_us: Microseconds = 0.0
    reason: Annotated[int, Field(ge=1, le=65_535)] = 28


Workload = Annotated[Collective | Bulk | Load | Background, Field(discriminator="kind")]
Fault = Annotated[
    PacketFault | MessageFault | Stall | Pause | Mirror | SlowRank | SlowLink | ConnectionFault,
    Field(discriminator="kind"),
]


class Recipe(Part):
    """A whole recipe."""

    name: str
    description: str = ""
    seed: Annotated[int, Field(ge=0, lt=1 << 24)] = 1
    network: Network = Network()
    transport: Transport = Transport()
    capture: Capture = Capture()
    encapsulation: Encapsulation = Encapsulation()
    workloads: tuple[Workload, ...] = ()
    faults: tuple[Fault, ...] = ()

    @model_validator(mode="after")
    def _gre_carries_ip(self) -> "Recipe":
        kinds = self.encapsulation.kinds
        if "gre+vlan" in self.encapsulation.kind or (
            kinds[-1:] == ("gre",) and self.network.roce == 1
        ):
            raise ValueError(
                "encapsulation.kind gre carries IP only, not VLAN or RoCE v1: use gretap"
            )
        return self
