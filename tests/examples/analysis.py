"""Documents as `analyze` writes them: a ring AllReduce with loss, an empty and a hostile one."""

import copy
import math
import random
from typing import Any

from examples import rows
from examples.rows import RANKS, START_NS, address

HOSTILE = (
    "<script>alert(1)</script>\"'</script><img src=x onerror=alert(2)>[red]x[/red]\x1b[31m\u202e"
)
"""HTML, script end, quotes, rich markup, a terminal escape and a right-to-left override."""

CHANNELS = 4
BINS = 600


def ring_document() -> dict[str, Any]:
    """Return 2.4 s of an 8-rank ring AllReduce over RoCEv2 with loss, CE marks and pauses."""
    chance = random.Random(7)
    pairs = [
        rows.queue_pair(rank, channel, chance)
        for rank in range(RANKS)
        for channel in range(CHANNELS)
    ]
    timeline = _timeline(chance)
    packets = sum(timeline["packets"])
    flows = [rows.flow(rank, channel) for rank in range(RANKS) for channel in range(CHANNELS)]
    flows.append(rows.storage_flow())
    return {
        "schema": "fabricscope/1",
        "capture": {
            "files": ["leaf1-mirror.pcapng", "leaf2-mirror.pcapng"],
            "formats": ["pcapng", "pcapng"],
            "packets": packets + 51_200,
            "duplicate_packets": 51_200,
            "bytes": sum(timeline["wire_bytes"]),
            "captured_bytes": packets * 128,
            "truncated_packets": packets - 40_000,
            "malformed_packets": 2,
            "header_cut_packets": 0,
            "unreadable_bytes": 0,
            "ended": ["leaf2-mirror.pcapng ends inside record 512,004 (offset 73,400,320)."],
            "start": "2026-09-21T13:33:20.123456789Z",
            "start_ns": START_NS,
            "duration_s": 2.4,
            "link_types": {"ethernet": packets},
            "taps": [
                rows.tap("leaf1-mirror.pcapng/eth1", packets // 2, 0.0, 0.0, 12),
                rows.tap("leaf2-mirror.pcapng/eth1", packets - packets // 2, -1843.21, 0.42, 0),
            ],
        },
        "protocols": {
            "ethernet": packets,
            "udp": packets - 60_000,
            "roce_v2": packets - 62_000,
            "cnp": 1955,
            "tcp": 58_000,
            "arp": 212,
            "lldp": 40,
            "pfc": 180,
        },
        "flows": flows,
        "flows_total": 1204,
        "flows_listed": len(flows),
        "flows_evicted": 0,
        "queue_pairs": pairs,
        "connections": [rows.connection()],
        "neighbours": [rows.neighbour()],
        "iwarp": [rows.iwarp_connection()],
        "pause": [rows.pause(3, 174), rows.pause(None, 6)],
        "timeline": timeline,
        "distributions": _distributions(chance),
        "traffic_matrix": _matrix(),
        "findings": _findings(),
        "capture_loss": {
            "lower_bound_packets": 12,
            "evidence": {"acknowledged_but_never_seen": 12, "sequence_numbers_skipped": 12},
        },
        "jobs": [],
        "collectives": [],
        "links": [],
    }


def empty_document() -> dict[str, Any]:
    """Return the document of a capture without a single packet."""
    return {
        "schema": "fabricscope/1",
        "capture": {
            **{name: [] for name in ("formats", "taps")},
            "files": ["empty.pcap"],
            "ended": ["empty.pcap ends after its file header."],
            **dict.fromkeys(
                (
                    "packets",
                    "duplicate_packets",
                    "bytes",
                    "captured_bytes",
                    "truncated_packets",
                    "malformed_packets",
                    "header_cut_packets",
                    "unreadable_bytes",
                ),
                0,
            ),
            "start": None,
            "start_ns": 0,
            "duration_s": 0.0,
            "link_types": {},
        },
        "protocols": {},
        **{name: [] for name in ("flows", "queue_pairs", "connections", "neighbours")},
        **{name: [] for name in ("iwarp", "pause", "findings")},
        **{name: 0 for name in ("flows_total", "flows_listed", "flows_evicted")},
        "timeline": {
            "start_ns": 0,
            "bin_ns": 0,
            **{
                name: []
                for name in (
                    "packets",
                    "wire_bytes",
                    "rdma_payload_bytes",
                    "retransmissions",
                    "ecn_marked",
                    "cnps",
                    "naks",
                    "pause_frames",
                )
            },
        },
        "distributions": {
            name: {"edges": [], "counts": []}
            for name in ("packet_size_bytes", "message_us", "ack_rtt_us")
        },
        "traffic_matrix": {"hosts": [], "bytes": []},
        "capture_loss": {"lower_bound_packets": 0, "evidence": {}},
        **{name: [] for name in ("jobs", "collectives", "links")},
    }


def hostile_document() -> dict[str, Any]:
    """Return the ring document with `HOSTILE` in every text that comes from packets or files."""
    document = copy.deepcopy(ring_document())
    document["capture"]["files"] = [HOSTILE]
    document["capture"]["ended"] = [HOSTILE]
    document["capture"]["start"] = HOSTILE
    for tap in document["capture"]["taps"]:
        tap["name"] = HOSTILE
    document["capture"]["link_types"] = {HOSTILE: 1}
    document["protocols"][HOSTILE] = 3
    document["traffic_matrix"]["hosts"][0] = HOSTILE
    document["capture_loss"]["evidence"] = HOSTILE
    keys = ("src", "dst", "protocol", "application", "application_source", "behaviour", "detail")
    for flow in document["flows"]:
        flow.update(dict.fromkeys(keys, HOSTILE))
        flow["tunnel"] = [{"kind": HOSTILE, "id": 1}]
    for pair in document["queue_pairs"]:
        pair.update(dict.fromkeys(("src", "dst", "transport", "service", "state"), HOSTILE))
        pair["operations"] = {HOSTILE: 1}
        pair["naks_by_code"] = {HOSTILE: 1}
    for connection in document["iwarp"]:
        connection.update(dict.fromkeys(("src", "dst", "state"), HOSTILE))
    for pause in document["pause"]:
        pause.update({"tap": HOSTILE, "source_mac": HOSTILE})
    for finding in document["findings"]:
        keys = ("kind", "subject", "text", "action", "filter", "capture")
        finding.update(dict.fromkeys(keys, HOSTILE))
        finding["evidence"] = {HOSTILE: HOSTILE}
    return document


def _timeline(chance: random.Random) -> dict[str, Any]:
    packets, events = [], {name: [0] * BINS for name in ("r", "e", "c", "n", "p")}
    for index in range(BINS):
        busy = index % 60 < 44 and not 250 <= index < 262
        packets.append(chance.randrange(10_100, 12_600) if busy else chance.randrange(3, 40))
        events["e"][index] = chance.randrange(450, 1420) if busy and index > 60 else 0
        events["c"][index] = chance.randrange(0, 9) if busy and index > 60 else 0
    for index in (248, 249, 262, 263, 410):
        events["r"][index], events["n"][index] = chance.randrange(40, 200), chance.randrange(2, 8)
    for index in range(240, 250):
        events["p"][index] = 18
    return {
        "start_ns": START_NS,
        "bin_ns": 4_000_000,
        "packets": packets,
        "wire_bytes": [count * 4170 for count in packets],
        "rdma_payload_bytes": [count * 4096 if count > 100 else 0 for count in packets],
        "retransmissions": events["r"],
        "ecn_marked": events["e"],
        "cnps": events["c"],
        "naks": events["n"],
        "pause_frames": events["p"],
    }


def _distributions(chance: random.Random) -> dict[str, Any]:
    def log_normal(median: float, sigma: float, count: int, low: float) -> dict[str, Any]:
        edges = [low * 10 ** (index / 10) for index in range(81)]
        counts = [0] * 80
        for _ in range(count):
            value = median * math.exp(sigma * chance.gauss(0, 1))
            position = int(10 * math.log10(value / low))
            counts[min(79, max(0, position))] += 1
        return {"edges": edges, "counts": counts}

    sizes = {"edges": [2.0 ** (index / 4) for index in range(24, 65)], "counts": [0] * 40}
    sizes["counts"][0], sizes["counts"][24] = 64_000, 1_100_000
    sizes["counts"][18] = 12_000
    return {
        "packet_size_bytes": sizes,
        "message_us": log_normal(64, 0.5, 8000, 0.1),
        "ack_rtt_us": log_normal(11, 0.4, 8000, 0.1),
    }


def _matrix() -> dict[str, Any]:
    hosts = [address(rank) for rank in range(RANKS)] + ["other"]
    size = len(hosts)
    volumes = [[0] * size for _ in range(size)]
    for rank in range(RANKS):
        volumes[rank][(rank + 1) % RANKS] = 2_581_000_000 - rank * 41_000_000
        volumes[(rank + 1) % RANKS][rank] = 316_800
    volumes[0][size - 1] = 48_000_000
    return {"hosts": hosts, "bytes": volumes}


def _findings() -> list[dict[str, Any]]:
    return [
        {
            "severity": "notice",
            "kind": "ecn_marking",
            "subject": "10.77.0.14",
            "evidence": {"marked_share": 0.083, "cnps": 1955},
            "text": "8.3 % of the RDMA packets towards 10.77.0.14 carry an ECN mark.",
            "action": "Check the ECN thresholds of leaf 2, port to 10.77.0.14.",
            "packets": [9120, 9124],
            "filter": "ip.dst == 10.77.0.14 && ip.dsfield.ecn == 3",
            "capture": "leaf2-mirror.pcapng",
        },
        {
            "severity": "critical",
            "kind": "queue_pair_failed",
            "subject": "10.77.1.12 -> 10.77.1.13 QP 0x000164",
            "evidence": {"timeouts": 7, "retries": 7, "silent_s": 2.09},
            "text": "Queue pair 0x000164 of 10.77.1.13 gave up after 7 timeouts; its job is stuck.",
            "action": "Restart the job from its checkpoint and look at the link of 10.77.1.13.",
            "packets": [412_001, 412_090, 498_112],
            "filter": "ip.dst == 10.77.1.13 && infiniband.bth.destqp == 0x000164",
            "capture": "leaf1-mirror.pcapng",
        },
        {
            "severity": "warning",
            "kind": "packet_loss",
            "subject": "10.77.0.13 -> 10.77.0.14",
            "evidence": {"network_lost": 40, "retransmissions": 824, "naks": 28},
            "text": "40 packets from 10.77.0.13 to 10.77.0.14 were lost in the network; go-back-N "
            "sent 824 packets again.",
            "action": "Look for CRC errors and drops on the link leaf 1 to 10.77.0.14.",
            "packets": list(range(301_000, 301_030)),
            "filter": "ip.src == 10.77.0.13 && ip.dst == 10.77.0.14 && udp.dstport == 4791",
            "capture": "leaf1-mirror.pcapng",
        },
    ]
