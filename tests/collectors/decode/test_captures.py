"""What the captures' own README says about them, and pairs of outer and inner captures."""

import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

RDMA = ("roce_v1", "roce_v2", "infiniband")
COUNTS = {
    "linlinw5_pingpong_rc.pcap": {0x04: 10, 0x11: 10},
    "linlinw5_pingpong_uc.pcap": {0x24: 10},
    "linlinw5_pingpong_ud.pcap": {0x64: 10},
    "linlinw5_rdma_send_bw.pcap": {0x00: 5, 0x01: 5, 0x02: 5, 0x11: 5},
    "linlinw5_rdma_write_bw.pcap": {0x06: 5, 0x07: 5, 0x08: 5, 0x11: 5},
    "linlinw5_rdma_write_lat.pcap": {0x0A: 10, 0x11: 10},
    "linlinw5_rdma_read_bw.pcap": {0x0C: 5, 0x0D: 5, 0x0E: 5, 0x0F: 5},
    "linlinw5_rdma_read_lat.pcap": {0x0C: 5, 0x10: 5},
    "linlinw5_rdma_atomic_bw.pcap": {0x14: 5, 0x12: 5},
    "linlinw5_rdma_cm.pcap": {0x64: 12, 0x04: 32, 0x06: 5, 0x07: 5, 0x08: 5, 0x11: 37},
    "linlinw5_rping.pcap": {0x64: 5, 0x04: 20, 0x0C: 5, 0x10: 5, 0x0A: 5, 0x11: 25},
    "infiniband.pcap": {0x64: 24, 0x04: 10, 0x11: 9},
    "scapy_roce_uts_hexdumps.pcap": {0x81: 1, 0x0A: 1, 0x11: 1},
}
SOFT_ROCE = {
    "FirstSuccesfullRping.pcapng": 17,
    "RoCE_capture_10_packets.pcapng": 125,
    "Roce_PacketSize_1400.pcapng": 19,
    "capture_S10000_C1.pcapng": 18,
    "Roce_PacketSize_2400_stall.pcapng": 11,
}
PAIRS = {
    "802.1ad__ping__veth2": "802.1ad__ping__veth2.100.200",
    "802.1q__ping__veth2": "802.1q__ping__veth2.100",
    "ah-tunnel-route__ping__veth2": "ah-tunnel-route__ping__vti2",
    "gre-ethernet__ping__veth2": "gre-ethernet__ping__gretap2",
    "gre-ip__ping__veth2": "gre-ip__ping__gre2",
    "gue-gre__ping__veth2": "gue-gre__ping__gre2",
    "gue-ipip__ping__veth2": "gue-ipip__ping__tunl2",
    "ipip__ping__veth2": "ipip__ping__tunl2",
    "l2tp-ip__ping__veth2": "l2tp-ip__ping__l2tpeth0",
    "l2tp-udp__ping__veth2": "l2tp-udp__ping__l2tpeth0",
    "vxlan__ping__veth2": "vxlan__ping__vxlan2",
}
FLOW = ("src_hi", "src_lo", "dst_hi", "dst_lo", "protocol", "ip_protocol", "ttl", "ip_id", "dscp")


@pytest.fixture(scope="module")
def rdma_rows(load: Callable, rows: Callable, protocol_of: Callable) -> Callable:
    """Return a function from a capture to its RDMA rows."""
    return lambda path: [row for row in rows(load(path)) if protocol_of(row) in RDMA]


@pytest.mark.parametrize("name", COUNTS)
def test_opcodes(captures: Path, rdma_rows: Callable, name: str) -> None:
    found = rdma_rows(captures / "rdma" / name)
    assert Counter(row["opcode"] for row in found) == COUNTS[name]
    assert not any(row["flags"] for row in found)


@pytest.mark.parametrize("name", SOFT_ROCE)
def test_roce_in_ordinary_traffic(captures: Path, rdma_rows: Callable, name: str) -> None:
    assert len(rdma_rows(captures / "rdma" / "softroce" / name)) == SOFT_ROCE[name]


def test_queue_pairs_and_small_sends(captures: Path, rdma_rows: Callable) -> None:
    found = rdma_rows(captures / "rdma" / "linlinw5_rdma_cm.pcap")
    sends = Counter(row["payload_length"] for row in found if row["opcode"] == 4)
    # tshark shows no payload in those up to 8 bytes, but the ICRC stands behind these bytes.
    assert sends == {56: 14, 16: 2, 8: 10, 4: 4, 2: 2}
    assert len({(row["dst_lo"], row["dest_qp"]) for row in found}) == 6
    assert all(row["dest_qp"] == 1 for row in found if row["opcode"] == 0x64)


@pytest.mark.parametrize("name", [name for name in COUNTS if name.startswith("linlinw5")])
def test_the_checksum_stands_behind_the_payload(
    captures: Path, rows: Callable, load: Callable, protocol_of: Callable, name: str
) -> None:
    records = load(captures / "rdma" / name)
    for record, row in zip(records, rows(records), strict=True):
        if protocol_of(row) == "roce_v2":
            pad = row["rdma_flags"] >> 5 & 3
            stop = row["payload_offset"] + row["payload_length"] + pad
            assert record.data[stop : stop + 4] == invariant_checksum(record.data[14:stop])


def invariant_checksum(packet: bytes) -> bytes:
    """Return the ICRC of an IPv4 packet (IBA annex A17): fields that change count as ones."""
    covered = bytearray(packet)
    for mutable in (1, 8, 10, 11, 26, 27, 32):
        covered[mutable] = 0xFF
    return zlib.crc32(b"\xff" * 8 + covered).to_bytes(4, "little")


def test_a_read_moves_what_it_asked_for(captures: Path, rdma_rows: Callable) -> None:
    found = rdma_rows(captures / "rdma" / "softroce" / "capture_S10000_C1.pcapng")
    assert [row["dma_length"] for row in found if row["opcode"] == 12] == [10000]
    assert sum(row["payload_length"] for row in found if 13 <= row["opcode"] <= 16) == 10000


def test_ring_moves_two_thirds_twice(captures: Path, rdma_rows: Callable) -> None:
    ranks = {"25": 0xAC1E0019, "11": 0xAC1E000B, "12": 0xAC1E000C}
    moved: Counter = Counter()
    for path in sorted((captures / "nccl").glob("ring2_node0*.pcap*")):
        for row in rdma_rows(path):
            if row["opcode"] in (6, 7, 8, 9):
                link = (row["src_lo"] & 0xFFFFFFFF, row["dst_lo"] & 0xFFFFFFFF)
                moved[link] += row["payload_length"]
    assert moved[ranks["25"], ranks["11"]] == moved[ranks["12"], ranks["25"]] == 32768


@pytest.mark.parametrize("folder", ["rdma/negative", "ndpi/pcap"])
def test_no_rdma_where_there_is_none(captures: Path, rdma_rows: Callable, folder: str) -> None:
    paths = [path for path in sorted((captures / folder).iterdir()) if path.suffix != ".txt"]
    assert len(paths) >= 2
    assert {path.name: len(found) for path in paths if (found := rdma_rows(path))} == {}


def test_pause_frames(
    captures: Path, rows: Callable, load: Callable, protocol_of: Callable
) -> None:
    (path,) = (captures / "rdma" / "pause").glob("*.pcap")
    records = load(path)
    quanta = [
        int.from_bytes(record.data[row["payload_offset"] :][:2], "big")
        for record, row in zip(records, rows(records), strict=True)
        if protocol_of(row) == "pause" and row["payload_length"] == 2
    ]
    assert sum(value > 0 for value in quanta) == 38
    assert sum(value == 0 for value in quanta) == 22


@pytest.mark.parametrize("outer", PAIRS)
def test_outer_captures_show_the_inner_flow(
    captures: Path, rows: Callable, load: Callable, protocol_of: Callable, outer: str
) -> None:
    folder = captures / "encap" / "kaorimatz"

    def pings(name: str) -> list[tuple[int, ...]]:
        found = rows(load(folder / f"{name}.pcap"))
        return [
            (*(row[column] for column in FLOW), row["payload_length"])
            for row in found
            if protocol_of(row) == "icmp"
        ]

    assert pings(outer) == pings(PAIRS[outer])
    assert len(pings(outer)) == 2


@pytest.mark.parametrize(
    "inner", ["", "-geneve-ipv4", "-geneve-ipv6", "-vxlan-ipv4", "-vxlan-ipv6"]
)
@pytest.mark.parametrize("outer", ["bigtcp-ipv4", "bigtcp-ipv6", "gso-ipv4", "gso-ipv6"])
def test_packets_before_segmentation(
    captures: Path, rows: Callable, load: Callable, outer: str, inner: str
) -> None:
    path = captures / "encap" / "tcpdump" / f"{outer}{inner}.pcap"
    (row,) = rows(load(path))
    said = path.with_suffix(".out").read_text(encoding="utf-8").split("length ")[-1]
    assert row["payload_length"] == int(said.split()[0].rstrip(":,"))
    assert row["flags"] == 0
