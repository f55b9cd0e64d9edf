"""RDMA packets made at random for the queue-pair table, and the table of all of them."""

from typing import Any, Final

import numpy as np

from fabricscope.analyzers.flows import FlowTable
from fabricscope.analyzers.rdma.table import QueuePairTable
from fabricscope.records import (
    FLAG_DUPLICATE,
    FLAG_MALFORMED,
    PROTOCOLS,
    RDMA_ACK_REQUEST,
    RDMA_HAS_AETH,
    TUNNELS,
    Packets,
    allocate_packets,
    slice_packets,
)

EXACT: Final = (
    "packets", "bytes", "payload_bytes", "delivered_bytes", "acks_sent", "cnps", "ecn_capable",
    "ecn_marked",
)  # fmt: skip
VXLAN: Final = TUNNELS.index("vxlan")
ERSPAN: Final = TUNNELS.index("erspan")


def follow(packets: Packets, batch: int, **options: int) -> QueuePairTable:
    """Return the settled table of all packets."""
    flows = FlowTable(capacity=options.get("flow_capacity", 4096))
    table = QueuePairTable(**({"capacity": 512, "flow_capacity": 4096} | options))
    rows = packets.time_ns.size
    for start in range(0, rows, batch):
        part = slice_packets(packets, start, min(start + batch, rows))
        count = part.time_ns.size
        flow, slots = np.zeros(count, np.int64), np.zeros(count, np.int64)
        side = np.zeros(count, np.uint8)
        closed = flows.update(part, flow, side)
        table.update(part, flow, side, slots)
        flows.release(closed)
    table.finish()
    return table


def key_of(qp: Any) -> Any:
    hosts = tuple(int(qp[name]) for name in ("src_hi", "src_lo", "dst_hi", "dst_lo"))
    return hosts, int(qp["dest_qp"]), int(qp["source_qp"]), int(qp["tunnel_key"])


def random_rows(rng: np.random.Generator, rows: int) -> Packets:
    """Return RDMA packets of few queue pairs with random headers around the turn of the PSNs."""
    packets = allocate_packets(rows)
    packets.time_ns[:] = 10**18 + np.cumsum(rng.choice([100, 5_000, 2_000_000], rows))
    packets.time_ns[:] -= rng.integers(0, 50_000, rows) * (rng.random(rows) < 0.1)
    packets.frame[:] = np.arange(1, rows + 1)
    packets.wire_length[:] = rng.integers(60, 4200, rows)
    packets.payload_length[:] = packets.wire_length - 58
    packets.payload_offset[:] = 58
    packets.protocol[:] = PROTOCOLS.index("roce_v2")
    packets.ip_protocol[:] = 17
    packets.src_lo[:] = rng.integers(1, 3, rows)
    packets.dst_lo[:] = rng.integers(1, 3, rows)
    packets.src_port[:] = rng.choice([4791, 50_000], rows)
    packets.dst_port[:] = 4791
    packets.dest_qp[:] = rng.choice([1, 17, 18], rows)
    service = np.select([packets.dest_qp == 1, packets.dest_qp == 17], [3, 0], 1)
    # READ requests and atomics stand for many PSNs: traffic that makes sense tests these.
    answers = [0, 1, 2, 4, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 22, 23]
    operation = np.where(service == 0, rng.choice(answers, rows), rng.choice([0, 2, 4, 10], rows))
    packets.opcode[:] = np.where(service == 3, 0x64, service << 5 | operation)
    packets.opcode[rng.random(rows) < 0.05] = 0x81
    packets.source_qp[:] = np.where(packets.opcode == 0x64, rng.choice([1, 5], rows), 0)
    drift = np.arange(rows) // 4 + rng.integers(-40, 40, rows)
    packets.psn[:] = (0xFFFFF0 + drift) % 0x1000000
    packets.ip_id[:] = rng.integers(0, 4, rows)
    packets.rdma_flags[:] = rng.choice([0, RDMA_ACK_REQUEST, RDMA_HAS_AETH], rows)
    packets.aeth[:] = rng.choice([0x1F, 0x20, 0x60, 0x61, 0x62, 0x7F], rows) << 24
    packets.ecn[:] = rng.integers(0, 4, rows)
    packets.dma_length[:] = rng.choice([0, 64, 2**32 - 1], rows)
    packets.flags[:] = rng.choice([0, 0, 0, 0, FLAG_DUPLICATE, FLAG_MALFORMED], rows)
    packets.tunnel_kinds[:] = rng.choice([0, 0, ERSPAN, VXLAN, ERSPAN | VXLAN << 8], rows)
    inner = packets.tunnel_kinds == ERSPAN | VXLAN << 8
    packets.tunnel_ids_low[:] = np.where(inner, 10 | 5 << 32, 5)
    return packets
