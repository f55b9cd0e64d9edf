"""Traffic of two hosts past three taps, with clocks, losses and retransmissions that are known."""

from dataclasses import dataclass, field

import numpy as np

from fabricscope.records import PROTOCOLS, Packets, allocate_packets

START_NS = 1_700_000_000_000_000_000
HOST_A = 0xFFFF_0A00_0001
HOST_B = 0xFFFF_0A00_0002
VIEW_BYTES = 64


@dataclass
class Clock:
    """A tap's clock: what it shows beyond the true time."""

    offset_ns: int = 0
    drift_ppm: float = 0.0

    def show(self, time_ns: np.ndarray) -> np.ndarray:
        drift = np.rint(self.drift_ppm * 1e-6 * (time_ns - START_NS)).astype(np.int64)
        return time_ns + self.offset_ns + drift


@dataclass
class Run:
    """What each tap captured, and the truth."""

    taps: list[tuple[np.ndarray, Packets]]
    distinct: int
    sightings: int
    collector_lost: list[int] = field(default_factory=list)  # per tap
    network_lost: list[int] = field(default_factory=list)  # per tap


def frozen(data: bytes | np.ndarray) -> np.ndarray:
    """Return bytes as the read-only view that collectors hand out."""
    view = np.frombuffer(bytes(data), np.uint8)
    assert not view.flags.writeable
    return view


def rows(count: int, **columns: object) -> Packets:
    """Return RoCE v2 WRITE packets from A to B with some columns replaced."""
    packets = allocate_packets(count)
    defaults: dict[str, object] = {
        "time_ns": START_NS + np.arange(count) * 1_000,
        "frame": np.arange(count) + 1,
        "wire_length": 1_100,
        "captured_length": VIEW_BYTES,
        "payload_offset": 54,
        "payload_length": 1_024,
        "src_lo": HOST_A,
        "dst_lo": HOST_B,
        "src_port": 50_000,
        "dst_port": 4_791,
        "protocol": PROTOCOLS.index("roce_v2"),
        "ip_protocol": 17,
        "ethertype": 0x0800,
        "ttl": 64,
        "opcode": 7,
        "dest_qp": 17,
        "psn": np.arange(count) & 0xFFFFFF,
        "ip_id": np.arange(count) & 0xFFFF,
    }
    for name, value in {**defaults, **columns}.items():
        getattr(packets, name)[:] = value
    return packets


def three_taps(
    rng: np.random.Generator,
    clocks: list[Clock],
    *,
    packets: int = 2_000,
    spacing_ns: int = 10_000,
    delay_ns: int = 5_000,
    jitter_ns: float = 2_000.0,
    collector_loss: float = 0.0,
    network_loss: float = 0.0,
    two_way: bool = True,
) -> Run:
    """Return what taps at host A, in the middle and at host B capture.

    `collector_loss` is each tap's own; `network_loss` lies between the middle and the receiver,
    and is repaired by a retransmission with a new IP identification.
    """
    forward = np.ones(packets, bool) if not two_way else rng.random(packets) < 0.5
    sent_ns = START_NS + np.arange(packets, dtype=np.int64) * spacing_ns
    psn = np.where(forward, np.cumsum(forward), np.cumsum(~forward))
    dropped = rng.random(packets) < network_loss
    dropped[-50:] = False
    again = np.flatnonzero(dropped)
    sent_ns = np.concatenate([sent_ns, sent_ns[again] + 20 * delay_ns])
    forward = np.concatenate([forward, forward[again]])
    psn = np.concatenate([psn, psn[again]])
    dropped = np.concatenate([dropped, np.zeros(again.size, bool)])
    ip_id = np.arange(sent_ns.size) & 0xFFFF
    count = sent_ns.size
    hops = delay_ns + rng.exponential(jitter_ns, (3, count))
    run = Run([], 0, 0)
    seen_anywhere = np.zeros(count, bool)
    for tap, clock in enumerate(clocks):
        passed = np.where(forward, tap, 2 - tap)  # hops behind it
        delay = sum(np.where(passed > hop, hops[hop], 0.0) for hop in range(2))
        past_the_drop = dropped & (passed == 2)
        missed = rng.random(count) < collector_loss
        # A first or last packet that a tap misses cannot be told from a late start.
        missed[:20] = missed[packets - 50 :] = False
        seen = ~past_the_drop & ~missed
        seen_anywhere |= seen
        shown = clock.show(sent_ns + np.rint(delay).astype(np.int64))
        chosen = np.flatnonzero(seen)
        chosen = chosen[np.argsort(shown[chosen], kind="stable")]
        run.network_lost.append(int(past_the_drop.sum()))
        run.collector_lost.append(int((missed & ~past_the_drop).sum()))
        run.sightings += chosen.size
        columns = rows(
            chosen.size,
            time_ns=shown[chosen],
            tap=tap,
            src_lo=np.where(forward[chosen], HOST_A, HOST_B),
            dst_lo=np.where(forward[chosen], HOST_B, HOST_A),
            psn=psn[chosen],
            ip_id=ip_id[chosen],
            ttl=64,
            ecn=rng.integers(1, 4, chosen.size),
            dscp=rng.integers(0, 3, chosen.size),
            vlan=tap,
        )
        run.taps.append((frozen(np.full(VIEW_BYTES, tap, np.uint8)), columns))
    run.distinct = int(seen_anywhere.sum())
    return run
