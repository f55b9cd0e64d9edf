"""Recipes with a fault each, what is to be found in them, and wrappers of all kinds."""

from typing import Any, Final

Part = dict[str, Any]

WRAPPERS: Final[dict[str, Part]] = {
    "ipv4": {},
    "ipv6": {"network": {"ip_version": 6}},
    "vlan": {"encapsulation": {"kind": "vlan"}},
    "vlan6": {"network": {"ip_version": 6}, "encapsulation": {"kind": "vlan"}},
    "erspan2": {"encapsulation": {"kind": "erspan2"}},
    "erspan3-6": {"network": {"ip_version": 6}, "encapsulation": {"kind": "erspan3"}},
    "vxlan": {"encapsulation": {"kind": "vxlan"}},
    "vxlan6": {"network": {"ip_version": 6}, "encapsulation": {"kind": "vxlan"}},
    "erspan-vxlan": {"encapsulation": {"kind": "erspan2+vxlan"}},
    "roce-v1": {"network": {"roce": 1}},
}
EGRESS: Final = {"taps": [{"name": "tap", "place": "egress"}]}
WRITE: Final = {
    "kind": "bulk",
    "operation": "write",
    "immediate": True,
    "messages": 24,
    "message_bytes": 32768,
    "outstanding": 4,
}
SEND: Final = WRITE | {"operation": "send", "immediate": False}
READ: Final = WRITE | {"operation": "read", "immediate": False}
ATOMIC: Final = WRITE | {"operation": "fetch_add", "immediate": False, "message_bytes": 8}
RING: Final = {
    "kind": "allreduce",
    "message_bytes": 131072,
    "slice_bytes": 32768,
    "iterations": 3,
}
TOLERANT: Final = {"out_of_order": "tolerate"}


def bulk(fault: Part, workload: Part = WRITE, **other: Part) -> Part:
    """Return the recipe of one fault on one stream."""
    return {"workloads": [workload], "faults": [fault], **other}


def loss(where: str, *packets: int, burst: int = 1) -> Part:
    return {"kind": "loss", "where": where, "packets": packets, "burst": burst}


FAULTS: Final[dict[str, tuple[Part, set[str]]]] = {
    "none": ({"workloads": [WRITE]}, set()),
    "none-ring": ({"workloads": [RING]}, set()),
    "none-send": ({"workloads": [SEND]}, set()),
    "none-read": ({"workloads": [READ]}, set()),
    "none-atomic": ({"workloads": [ATOMIC]}, set()),
    "loss-before-tap": (bulk(loss("uplink", 9, 57, 130)), {"network_loss"}),
    "loss-before-tap-send": (bulk(loss("uplink", 8, 15, 130), SEND), {"network_loss"}),
    "loss-after-tap": (bulk(loss("fabric", 9, 57, 130)), {"network_loss"}),
    "burst-before-tap": (
        bulk(loss("fabric", 6, 87, burst=5), capture=EGRESS),
        {"network_loss"},
    ),
    "burst-after-tap": (bulk(loss("fabric", 21, 87, burst=5)), {"network_loss"}),
    "loss-of-reads": (bulk(loss("fabric", 8, 48), READ), {"network_loss"}),
    "loss-of-atomics": (bulk(loss("fabric", 3, 11), ATOMIC), {"network_loss"}),
    "loss-of-responses": (
        bulk({"kind": "loss", "where": "fabric", "ratio": 0.03, "flow": {"src": 1}}, READ),
        {"network_loss"},
    ),
    "loss-of-responses-before-tap": (
        bulk({"kind": "loss", "where": "uplink", "ratio": 0.03, "flow": {"src": 1}}, READ),
        {"network_loss"},
    ),
    "tail": (
        bulk(
            {"kind": "tail_loss", "where": "fabric", "message": 6, "count": 2},
            WRITE | {"outstanding": 1},
        ),
        {"network_loss", "ack_timeout"},
    ),
    "tail-before-tap": (
        bulk(
            {"kind": "tail_loss", "where": "uplink", "message": 6, "count": 3},
            WRITE | {"outstanding": 1},
        ),
        {"network_loss", "ack_timeout"},
    ),
    "rnr": (bulk({"kind": "rnr", "message": 5, "count": 2}, SEND), {"receiver_not_ready"}),
    "rnr-write": (bulk({"kind": "rnr", "message": 5, "timer": 10}), {"receiver_not_ready"}),
    "access-error": (bulk({"kind": "access_error", "message": 11}), {"transport_error"}),
    "congestion": (
        {
            "workloads": [WRITE | {"pairs": [(0, 3), (1, 3), (2, 3)]}],
            "network": {"ecn_queue_us": 5.0, "hosts": 4},
            "capture": EGRESS,
        },
        {"congestion", "incast"},
    ),
    "marks": (bulk({"kind": "ce", "where": "uplink", "ratio": 0.1}), {"congestion"}),
    "pfc": (
        bulk({"kind": "pfc", "host": 0, "start_us": 5.0, "storms": 2, "interval_us": 200.0}),
        {"pause"},
    ),
    "pause": (bulk({"kind": "pause", "host": 0, "start_us": 5.0}), {"pause"}),
    "duplicates": (bulk({"kind": "mirror_duplicate", "ratio": 0.06}), {"mirror_duplicates"}),
    "all-twice": (bulk({"kind": "mirror_duplicate", "ratio": 1.0}), {"mirror_duplicates"}),
    "reordering": (
        bulk(
            {"kind": "reorder", "where": "uplink", "packets": (20, 47, 100), "burst": 3},
            transport=TOLERANT,
        ),
        {"reordering"},
    ),
    "reordering-ring": (
        {
            "workloads": [RING | {"split_immediate": True}],
            "faults": [{"kind": "reorder", "where": "uplink", "ratio": 0.03, "burst": 2}],
            "transport": TOLERANT,
        },
        {"reordering"},
    ),
    "mirror-loss": (bulk({"kind": "mirror_loss", "ratio": 0.04}), {"collector_loss"}),
    "mirror-loss-read": (
        bulk({"kind": "mirror_loss", "frames": (60, 61, 100)}, READ),
        {"collector_loss"},
    ),
    "stall": (
        {
            "workloads": [WRITE | {"pairs": [(0, 1), (2, 3)], "interval_us": 100.0}],
            "network": {"hosts": 4},
            "faults": [{"kind": "stall", "packet": 37, "flow": {"src": 0}}],
        },
        {"stalled_transfer"},
    ),
    "refused": (
        bulk({"kind": "cm_refused"}, WRITE | {"connect": True}),
        {"connection_refused"},
    ),
    "closed": (
        bulk({"kind": "cm_closed"}, WRITE | {"connect": True}),
        {"connection_closed_before_data"},
    ),
    "slow-rank": (
        {"workloads": [RING], "faults": [{"kind": "slow_rank", "host": 1}]},
        {"compute_straggler"},
    ),
    "slow-link": (
        {"workloads": [RING], "faults": [{"kind": "slow_link", "host": 2}]},
        {"slow_link"},
    ),
}


UNSEEN: Final[dict[str, tuple[str, ...]]] = {
    # The truth takes the answers to atomics for data, the analyzer for acknowledgements.
    "none-atomic": ("ecn_capable",),
    "loss-of-atomics": ("ecn_capable", "retransmissions"),
    # Responses that are lost again when they come a second time leave nothing to see.
    "loss-of-responses-before-tap": ("network_lost", "retransmissions"),
}


def merged(fault: Part, wrapper: Part) -> Part:
    """Return a fault's recipe inside a wrapper."""
    content = dict(fault)
    for key, part in wrapper.items():
        content[key] = {**content.get(key, {}), **part}
    return content
