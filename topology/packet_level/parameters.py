"""Parameters of NICs and switches with their published defaults and where those come from."""

from dataclasses import dataclass, field
from typing import Final

from fabricscope.errors import ConfigError

__all__ = ["Dcqcn", "Nic", "PacketOptions", "SwitchModel"]

TIMEOUT_UNIT_NS: Final = 4096.0
"""The ACK time-out is 4.096 us x 2^n (InfiniBand Architecture Specification, 9.7.6.1.3)."""


@dataclass(frozen=True, slots=True)
class Dcqcn:
    """Congestion control of the sender (Zhu et al., SIGCOMM 2015), as NICs are delivered.

    Defaults are those of ConnectX-4 and later (NVIDIA, DOCA documentation, "DCQCN CC Parameters"):
    gain: g of alpha (dce_tcp_g, 1019/1024 is kept). alpha_period_ns: K, alpha decays when no CNP
    came for so long (dce_tcp_rtt). raise_period_ns, raise_bytes: timer T and byte counter B of the
    rate's increase (rpg_time_reset, rpg_byte_reset). fast_stages: F (rpg_threshold). keeps_target:
    a cut lowers the target only if the rate has risen since the cut before (clamp_tgt_rate off).
    additive_gbps: R_AI (rpg_ai_rate); hyper_gbps: R_HAI (rpg_hai_rate); least_gbps: the lowest
    rate (rpg_min_rate). cnp_interval_ns: N, shortest time between two cuts
    (rate_reduce_monitor_period), here kept by the receiver between two CNPs of a queue pair.
    The paper's own: gain 1/256, 55 us, 55 us, 10 MB, 5, false, 0.04, 0.4, 0.1 and 50 us.
    """

    gain: float = 5 / 1024
    alpha_period_ns: float = 1_000.0
    raise_period_ns: float = 300_000.0
    raise_bytes: int = 32_767
    fast_stages: int = 1
    keeps_target: bool = True
    additive_gbps: float = 0.005
    hyper_gbps: float = 0.05
    least_gbps: float = 0.001
    cnp_interval_ns: float = 4_000.0


@dataclass(frozen=True, slots=True)
class Nic:
    """How endpoints send and receive.

    mtu_bytes: payload of a packet. header_bytes: Ethernet 14, IPv4 20, UDP 8, BTH 12, ICRC 4,
    FCS 4, preamble and gap 20. first_header_bytes: RETH of a WRITE's first packet. ack_bytes,
    cnp_bytes: whole frames with preamble and gap. window_bytes: payload a queue pair may have in
    flight (NCCL grants 4 MiB). ack_every: data packets that one ACK may cover; the last packet of
    a message is always acknowledged. timeout: n of 4.096 us x 2^n (NCCL_IB_TIMEOUT, 20).
    retry_count: time-outs before the queue pair fails (NCCL_IB_RETRY_CNT, 7). backoff: factor
    from one time-out to the next. reorder_packets: where packets are sprayed, receivers keep what
    overtakes (as NICs with adaptive routing do for WRITE), and a hole draws a NAK once a packet
    that many PSNs behind it has come (64: the receiver's bitmap of MP-RDMA, NSDI 2018); what is
    repeated goes back to the hole. dcqcn: None switches congestion control off.
    """

    mtu_bytes: int = 4096
    header_bytes: int = 82
    first_header_bytes: int = 16
    ack_bytes: int = 86
    cnp_bytes: int = 98
    window_bytes: int = 4 << 20
    ack_every: int = 4
    timeout: int = 20
    retry_count: int = 7
    backoff: float = 1.0
    reorder_packets: int = 64
    dcqcn: Dcqcn | None = field(default_factory=Dcqcn)

    def __post_init__(self) -> None:
        """Refuse what no NIC could work with."""
        if not 1 <= self.mtu_bytes <= 65_536 or self.header_bytes < 0 or self.ack_bytes < 1:
            raise ConfigError("nic: mtu_bytes must be 1 to 65536 and headers not negative")
        if not 0 <= self.timeout <= 31 or self.retry_count < 0 or self.backoff < 1:
            raise ConfigError(
                "nic: timeout must be 0 to 31, retry_count 0 or more and backoff 1 or more"
            )
        if self.window_bytes < self.mtu_bytes or self.ack_every < 1:
            raise ConfigError("nic: window_bytes must hold a packet and ack_every be 1 or more")

    @property
    def timeout_ns(self) -> float:
        """Return the first ACK time-out."""
        return TIMEOUT_UNIT_NS * 2.0**self.timeout


@dataclass(frozen=True, slots=True)
class SwitchModel:
    """How switches queue: one shared buffer, output queues, PFC and ECN.

    buffer_bytes: per device, of which headroom_bytes per port are kept for what arrives after a
    pause was asked for. lossless: PFC on. pause_alpha: an ingress asks for a pause when it holds
    more than this times the free shared buffer, and lets go resume_offset_bytes below.
    drop_alpha: without PFC, a queue drops above this times the free buffer. ecn: marking on.
    mark_from_bytes_per_gbps, mark_all_bytes_per_gbps, mark_most: RED of the instantaneous queue,
    scaled with the port's rate: Kmin 100 KB and Kmax 400 KB per 25 Gb/s and Pmax 0.2, as the
    evaluation of HPCC (SIGCOMM 2019) sets them for DCQCN. pause_bytes: frame, preamble and gap.
    """

    buffer_bytes: int = 64 << 20
    headroom_bytes: int = 100_000
    lossless: bool = True
    pause_alpha: float = 0.125
    resume_offset_bytes: int = 8_192
    drop_alpha: float = 1.0
    ecn: bool = True
    mark_from_bytes_per_gbps: float = 4_000.0
    mark_all_bytes_per_gbps: float = 16_000.0
    mark_most: float = 0.2
    pause_bytes: int = 84

    def __post_init__(self) -> None:
        """Refuse buffers and thresholds that cannot be."""
        if self.buffer_bytes < 1 or self.headroom_bytes < 0 or self.pause_alpha <= 0:
            raise ConfigError("switch: buffer_bytes and pause_alpha must be above 0")
        if not 0 <= self.mark_most <= 1:
            raise ConfigError("switch: mark_most is a probability, 0 to 1")
        if not 0 <= self.mark_from_bytes_per_gbps < self.mark_all_bytes_per_gbps:
            raise ConfigError("switch: marking must begin below the queue at which all is marked")


@dataclass(frozen=True, slots=True)
class PacketOptions:
    """How far and how closely to run.

    until_ns: stop there (what is under way stays unfinished). windows_ns: end of the time before
    the failure and end of the time during it, for `channel_bytes`; None takes the failure's start
    and its last event or change. most_events: bound of the run. most_tap_packets, most_log_lines:
    bounds of what mirror ports and the log keep; what is beyond is counted. check: verify after
    each event that no packet and no byte of a buffer got lost unseen (slow). excluded_channels:
    ports that are members of a LAG, excluded_destinations: endpoints without an IPv4 address; both
    are outside of sampled recovery.
    """

    until_ns: float | None = None
    windows_ns: tuple[float, float] | None = None
    most_events: int = 2_000_000_000
    most_tap_packets: int = 1_000_000
    most_log_lines: int = 100_000
    check: bool = False
    excluded_channels: tuple[int, ...] = ()
    excluded_destinations: tuple[int, ...] = ()
