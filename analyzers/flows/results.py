"""The flow table as a data frame with the columns of `records.TABLES["flows"]`."""

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fabricscope.analyzers.addresses import address_texts
from fabricscope.analyzers.flows.table import ClosedFlows
from fabricscope.records import NO_VLAN, PROTOCOLS, TUNNELS

ENDS: Final = ("open", "idle", "active", "evicted")
IP_PROTOCOLS: Final = {
    1: "icmp",
    2: "igmp",
    4: "ipip",
    6: "tcp",
    17: "udp",
    47: "gre",
    50: "esp",
    51: "ah",
    58: "icmpv6",
    89: "ospf",
    103: "pim",
    112: "vrrp",
    132: "sctp",
}
_INFINIBAND: Final = PROTOCOLS.index("infiniband")
_NETWORK_LAYERS: Final = {"ipv4", "ipv6", "roce_v2"}


def tunnels_of(kinds: int, ids_low: int, ids_high: int) -> list[dict[str, object]]:
    """Return the tunnels packed in these columns as `{kind, id}`, outermost first."""
    tunnels: list[dict[str, object]] = []
    for level in range(4):
        kind = kinds >> (8 * level) & 0xFF
        if kind == 0:
            break
        ids = ids_low if level < 2 else ids_high
        tunnels.append({"kind": TUNNELS[kind], "id": ids >> (32 * (level & 1)) & 0xFFFFFFFF})
    return tunnels


def tunnel_text(kinds: int, ids_low: int, ids_high: int) -> str:
    """Return the tunnels as text, such as `erspan:10 vxlan:5000`."""
    return " ".join(f"{t['kind']}:{t['id']}" for t in tunnels_of(kinds, ids_low, ids_high))


def _protocol_text(protocol: int, ip_protocol: int) -> str:
    name = PROTOCOLS[protocol]
    if name in _NETWORK_LAYERS:
        return IP_PROTOCOLS.get(ip_protocol, f"ip-{ip_protocol}")
    return name


def flows_frame(closed: ClosedFlows, taps: list[str]) -> pl.DataFrame:
    """Return a row for each flow of `closed`; `taps` names the tap numbers."""
    flows = closed.flows
    infiniband = flows["protocol"] == _INFINIBAND
    names = zip(flows["protocol"].tolist(), flows["ip_protocol"].tolist(), strict=True)
    tunnels = zip(
        flows["tunnel_kinds"].tolist(),
        flows["tunnel_ids_low"].tolist(),
        flows["tunnel_ids_high"].tolist(),
        strict=True,
    )
    columns: dict[str, object] = {
        "id": flows["id"],
        "src": address_texts(flows["a_hi"], flows["a_lo"], infiniband),
        "dst": address_texts(flows["b_hi"], flows["b_lo"], infiniband),
        "src_port": flows["a_port"],
        "dst_port": flows["b_port"],
        "protocol": [_protocol_text(*name) for name in names],
        "kind": [PROTOCOLS[p] for p in flows["protocol"].tolist()],
        "tunnel": [tunnel_text(*tunnel) if tunnel[0] else "" for tunnel in tunnels],
        "vlan": [None if v == NO_VLAN else v for v in flows["vlan"].tolist()],
        "dscp": flows["dscp"],
        "tap": [taps[tap] for tap in flows["tap"].tolist()],
        "first_frame": flows["first_frame"],
        "start_ns": flows["first_ns"],
        "end_ns": flows["last_ns"],
        "end": [ENDS[end] for end in flows["end"].tolist()],
    }
    for side, prefix in enumerate(("a_to_b", "b_to_a")):
        columns.update(_direction_columns(closed, side, prefix))
    schema = {"vlan": pl.Int32, "src": pl.String, "dst": pl.String, "tunnel": pl.String}
    return pl.DataFrame(columns, schema_overrides=schema)


def _direction_columns(closed: ClosedFlows, side: int, prefix: str) -> dict[str, object]:
    """Return the columns of one direction; sizes in bytes, times in microseconds."""
    direction = closed.directions[:, side]
    packets = direction["packets"].astype(np.float64)
    some = np.maximum(packets, 1)
    size_mean = direction["bytes"] / some
    size_variance = direction["size_square_sum"] / some - size_mean**2
    gaps = np.maximum(packets - 1, 1)
    gap_mean = (direction["last_ns"] - direction["first_ns"]) / gaps
    gap_variance = direction["gap_square_sum"] / gaps - gap_mean**2
    none = packets == 0
    no_gap = packets < 2

    def known(values: NDArray[np.float64], missing: NDArray[np.bool_]) -> pl.Series:
        return pl.Series(np.where(missing, np.nan, values)).fill_nan(None)

    return {
        f"{prefix}_packets": direction["packets"],
        f"{prefix}_bytes": direction["bytes"],
        f"{prefix}_payload_bytes": direction["payload_bytes"],
        f"{prefix}_tcp_flags": direction["tcp_flags"],
        f"{prefix}_ecn_marked": direction["ecn_marked"].astype(np.int64),
        f"{prefix}_size_mean": known(size_mean, none),
        f"{prefix}_size_dev": known(np.sqrt(np.maximum(size_variance, 0)), none),
        f"{prefix}_size_p50": known(closed.sizes[:, side, 0], none),
        f"{prefix}_size_p99": known(closed.sizes[:, side, 1], none),
        f"{prefix}_gap_mean": known(gap_mean / 1e3, no_gap),
        f"{prefix}_gap_dev": known(np.sqrt(np.maximum(gap_variance, 0)) / 1e3, no_gap),
        f"{prefix}_gap_p50": known(closed.gaps[:, side, 0] / 1e3, no_gap),
        f"{prefix}_gap_p99": known(closed.gaps[:, side, 1] / 1e3, no_gap),
    }
