"""What the flow-level engine is told besides the fabric and the workload."""

from dataclasses import dataclass

from fabricscope.topology.flow_level.state import Settings

__all__ = ["FlowOptions", "make_settings"]


@dataclass(frozen=True, slots=True)
class FlowOptions:
    """What the flow-level engine assumes of NICs and packets, and when it stops.

    packet_bytes, header_bytes: payload of a full packet, and what the wire adds to it (Ethernet
    with preamble and gap, IP, UDP, BTH, ICRC and FCS: 82). window_bytes: what a queue pair sends
    without an acknowledgement. rto_ns: its time-out, 4.096 us x 2^20 by default as NCCL's.
    doubling: each further time-out waits twice as long. retry_count: time-outs until the queue
    pair gives up, -1 for never. rtt_ns: from a packet on the new path to the resumed sending,
    below 0: twice the path's latency. selective: the NIC repeats lost packets only (sprayed or
    lossy paths). stop_ns: end of the run. resolve_share: when more than 2,048 flows hang
    together, their rates are made anew after this share of their remaining time, not at each end.
    windows_ns: where the windows DURING and AFTER of `channel_bytes` begin; None: at the first
    failure and the last route change. seed: decides which messages lose their last packet where
    some packets are lost.
    """

    packet_bytes: int = 4096
    header_bytes: int = 82
    window_bytes: int = 4 * 1024 * 1024
    rto_ns: float = 4096.0 * 2**20
    doubling: bool = False
    retry_count: int = 7
    rtt_ns: float = -1.0
    selective: bool = False
    stop_ns: float = float("inf")
    resolve_share: float = 1 / 64
    windows_ns: tuple[float, float] | None = None
    seed: int = 1


def make_settings(
    options: FlowOptions, relabel_ns: float, flowlet_ns: float, at_once: bool
) -> Settings:
    """Return the numbers that kernels need.

    relabel_ns: of host-based recovery, below 0 for none; flowlet_ns: the pause after which a flow
    takes another path, below 0 for never; at_once: first rates are final.
    """
    return Settings(
        float(options.packet_bytes),
        float(options.window_bytes),
        float(options.rto_ns),
        bool(options.doubling),
        int(options.retry_count),
        float(options.rtt_ns),
        float(relabel_ns),
        float(flowlet_ns),
        bool(options.selective),
        float(options.resolve_share),
        bool(at_once),
        int(options.seed),
    )
