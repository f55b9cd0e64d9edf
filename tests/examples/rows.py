"""Rows of the tables of a document as `analyze` writes it, for an 8-rank ring AllReduce."""

import random
from typing import Any

RANKS = 8
START_NS = 1_790_000_000_123_456_789


def address(rank: int) -> str:
    """Return the address of a rank."""
    return f"10.77.{rank // 4}.{11 + rank % 4}"


def _spread(p50: float, p99: float, maximum: float, count: int) -> dict[str, float]:
    return {"p50": p50, "p99": p99, "max": maximum, "count": count}


def queue_pair(rank: int, channel: int, chance: random.Random) -> dict[str, Any]:
    lossy = rank == 2 and channel < 2
    failed = rank == 5 and channel == 3
    messages = 140 if failed else 1200 + chance.randrange(8)
    bytes_sent = messages * 524_288
    lost = 23 if lossy else 0
    return {
        "src": address(rank),
        "dst": address((rank + 1) % RANKS),
        "dest_qp": 0x000111 + rank * 16 + channel,
        "paired_qp": 0x000211 + rank * 16 + channel if channel else None,
        "transport": "roce_v2",
        "service": "RC",
        "packets": messages * 129,
        "payload_bytes": bytes_sent,
        "messages": messages,
        "operations": {"rdma_write": messages - 4, "rdma_write_imm": 4},
        "acks": messages,
        "naks": 14 if lossy else 0,
        "naks_by_code": {"psn_sequence_error": 14} if lossy else {},
        "rnr_naks": 2 if lossy else 0,
        "retransmissions": 412 if lossy else 7 if failed else 0,
        "timeouts": 7 if failed else 0,
        "duplicates": 3 if lossy else 0,
        "sequence_gaps": lost,
        "network_lost": lost - 3 if lossy else 0,
        "collector_lost": 3 if lossy else 0,
        "out_of_order": 0,
        "max_displacement": 0,
        "ecn_capable": messages * 128,
        "ecn_marked": messages * chance.randrange(2, 20),
        "cnps": chance.randrange(40, 80),
        "ack_rtt_us": _spread(9.4 + rank, 41.2 + rank, 1204.0, messages),
        "message_us": _spread(64.1, 311.0, 4_291_000.0 if failed else 2210.0, messages),
        "message_bytes": _spread(524_288, 524_288, 524_288, messages),
        "nak_generation_us": _spread(3.1, 8.0, 9.2, 14) if lossy else None,
        "nak_response_us": _spread(6.3, 22.0, 25.1, 14) if lossy else None,
        "retransmission_us": _spread(18.0, 61.0, 70.4, 23) if lossy else None,
        "goodput_gbps": None if failed else bytes_sent * 8 / 2.4e9,
        "state": "failed" if failed else "active",
        "first_frame": 17 + rank * 40 + channel,
        "start_s": 0.0002 * rank,
        "duration_s": 0.31 if failed else 2.39,
    }


def _direction(packets: int, size: int) -> dict[str, Any]:
    return {
        "packets": packets,
        "bytes": packets * size,
        "payload_bytes": packets * max(0, size - 58),
        "tcp_flags": 0,
        "size_mean": float(size),
        "size_dev": 4.0,
        "size_p50": size,
        "size_p99": size,
        "gap_us_mean": 3.1,
        "gap_us_dev": 9.0,
        "gap_us_p50": 0.4,
        "gap_us_p99": 61.0,
    }


def flow(rank: int, channel: int) -> dict[str, Any]:
    forward, back = _direction(154_800, 4170), _direction(1200, 66)
    return {
        "src": address(rank),
        "dst": address((rank + 1) % RANKS),
        "src_port": 49152 + rank * 100 + channel,
        "dst_port": 4791,
        "protocol": "udp",
        "tunnel": [{"kind": "vxlan", "id": 5001}] if rank == 3 else [],
        "vlan": 77,
        "packets": forward["packets"] + back["packets"],
        "bytes": forward["bytes"] + back["bytes"],
        "start_s": 0.0002 * rank,
        "duration_s": 2.39,
        "a_to_b": forward,
        "b_to_a": back,
        "application": "roce_v2",
        "application_source": "payload",
        "application_confidence": 0.99,
        "behaviour": "collective_burst",
        "confidence": 0.85,
        "behaviour_features": "relay 0.93, larger_bytes 6.3e+08",
        "detail": None,
        "first_frame": 17 + rank * 40 + channel,
    }


def storage_flow() -> dict[str, Any]:
    return {
        **flow(0, 0),
        "src": "fd00:77::11",
        "dst": "fd00:77::99",
        "src_port": 51514,
        "dst_port": 443,
        "protocol": "tcp",
        "vlan": None,
        "application": "tls",
        "application_source": "handshake",
        "application_confidence": 0.9,
        "behaviour": "interactive",
        "confidence": 0.7,
        "detail": {"sni": "storage.example.net", "alpn": "h2"},
    }


def tap(name: str, packets: int, offset_us: float, error_us: float, lost: int) -> dict[str, Any]:
    return {
        "name": name,
        "packets": packets,
        "clock_offset_us": offset_us,
        "offset_error_us": error_us,
        "lost_packets": lost,
    }


def connection() -> dict[str, Any]:
    return {
        "initiator": address(0),
        "responder": address(1),
        "outcome": "refused",
        "reason": "no resources, by the responder",
        "transport": "RC",
        "service_id": 0x01064853,
        "service_port": 18515,
        "initiator_qp": 0x000211,
        "responder_qp": None,
        "path_mtu_bytes": 4096,
        "ack_timeout_code": 18,
        "retry_count": 7,
        "requested_ns": START_NS,
        "established_ns": START_NS + 2_500_000,
        "disconnected_ns": None,
        "retries": 1,
        "frames": [1, 2, 3],
    }


def neighbour() -> dict[str, Any]:
    return {
        "chassis": "08:00:27:42:ba:59",
        "port": "Ethernet1/7",
        "ttl_s": 120,
        "system_name": "leaf1",
        "port_vlan": 77,
        "pfc_priorities": ["3", "4"],
    }


def iwarp_connection() -> dict[str, Any]:
    return {
        "src": "10.77.9.1",
        "dst": "10.77.9.2",
        "src_port": 40112,
        "dst_port": 20079,
        "state": "connected",
        "reason": "",
        "markers": None,
        "crc": True,
        "fpdus": 812,
        "messages": 40,
        "payload_bytes": 1_048_576,
        "operations": [
            {"operation": "send", "messages": 20, "payload_bytes": 4096, "largest_bytes": 512},
            {"operation": "write", "messages": 20, "payload_bytes": 4096, "largest_bytes": 512},
        ],
        "crc_errors": 0,
        "message_us": _spread(12.5, 40.0, 41.0, 40),
        "read_us": {"p50": None, "p99": None, "max": None, "count": 0},
    }


def pause(priority: int | None, frames: int) -> dict[str, Any]:
    return {
        "tap": "leaf1-mirror.pcapng/eth1",
        "source_mac": "02:42:ac:1e:00:19",
        "priority": priority,
        "frames": frames,
        "xoff": frames * 2 // 3,
        "xon": frames - frames * 2 // 3,
        "pause_s": 0.0123,
        "pause_share": 0.0051,
        "assumed_rate_gbps": 100.0,
    }
