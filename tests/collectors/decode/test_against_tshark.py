"""Every RDMA and encapsulation capture, and a sample of others, field by field against tshark.

Where tshark reads a packet otherwise, `DIFFERENCES` says why it is not followed.
"""

import ipaddress
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fabricscope.records import (
    FLAG_LATER_FRAGMENT,
    MAC_ADDRESS_HI,
    RDMA_ACK_REQUEST,
    RDMA_MIGRATION,
    RDMA_SOLICITED,
)

NETWORK_FIELDS = {
    "ip": ("ip.src", "ip.dst", "ip.ttl", "ip.dsfield.dscp", "ip.dsfield.ecn", "ip.id"),
    "ipv6": (
        "ipv6.src",
        "ipv6.dst",
        "ipv6.hlim",
        "ipv6.tclass.dscp",
        "ipv6.tclass.ecn",
        "ipv6.flow",
    ),
}
TCP_FIELDS = ("tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "tcp.len")
UDP_FIELDS = ("udp.srcport", "udp.dstport")
RDMA_FIELDS = {
    "infiniband.bth.opcode": "opcode",
    "infiniband.bth.destqp": "dest_qp",
    "infiniband.bth.psn": "psn",
    "infiniband.reth.va": "remote_address",
    "infiniband.reth.dmalen": "dma_length",
    "infiniband.deth.srcqp": "source_qp",
    "infiniband.immdt": "immediate",
}
RDMA_BITS = {
    "infiniband.bth.se": RDMA_SOLICITED,
    "infiniband.bth.m": RDMA_MIGRATION,
    "infiniband.bth.a": RDMA_ACK_REQUEST,
}
TUNNEL_FIELDS = {
    "vxlan.vni": "vxlan",
    "geneve.vni": "geneve",
    "erspan.spanid": "erspan",
    "gre.key": "gre",
    "gtp.teid": "gtp_u",
}
OTHER_FIELDS = (
    "frame.protocols",
    "eth.src",
    "eth.dst",
    "vlan.id",
    "mpls.label",
    "infiniband.bth.padcnt",
    "infiniband.aeth.syndrome",
    "infiniband.aeth.msn",
    "infiniband.lrh.slid",
    "infiniband.lrh.dlid",
)
FIELDS = (
    *OTHER_FIELDS,
    *NETWORK_FIELDS["ip"],
    *NETWORK_FIELDS["ipv6"],
    *TCP_FIELDS,
    *UDP_FIELDS,
    *RDMA_FIELDS,
    *RDMA_BITS,
    *TUNNEL_FIELDS,
)

PSEUDOWIRE = "takes the first bytes of the control word for a MAC address"
BIG_TCP = "does not look into a UDP datagram that is longer than its own length field can say"
GUE = "knows no GUE"
L2TP = "must be told the size of the L2-specific sublayer by a preference"
DIFFERENCES: dict[str, str] = {
    "mpls-eompls-cw.pcap": PSEUDOWIRE,
    "mpls-eompls-invalid-cw.pcap": PSEUDOWIRE,
    "gue-gre__ping__veth2.pcap": GUE,
    "gue-ipip__ping__veth2.pcap": GUE,
    "l2tp-ip__ping__veth2.pcap": L2TP,
    "l2tp-udp__ping__veth2.pcap": L2TP,
    "nflogPacket.pcap": "knows the link type NFLOG, which no network card delivers",
    **{
        f"bigtcp-{outer}-{tunnel}-{inner}.pcap": BIG_TCP
        for outer in ("ipv4", "ipv6")
        for tunnel in ("geneve", "vxlan")
        for inner in ("ipv4", "ipv6")
    },
    "various_gre.pcap": "looks into Cisco metadata (0x8909) and into the replies of GRE keepalives",
    "vxlan_port_8472.pcap": "expects VXLAN at its own port only, not at the one Linux used first",
}

Answer = dict[str, list[str]]


def ask_tshark(tshark: str, path: Path, most: int) -> list[Answer]:
    """Return, for each packet, the values of each field in the order of the layers."""
    command = [tshark, "-r", str(path), "-c", str(most), "-T", "fields"]
    command += ["-E", "occurrence=a", "-E", "aggregator=;", "-E", "separator=|"]
    for preference in ("ip.defragment", "ipv6.defragment", "tcp.desegment_tcp_streams"):
        command += ["-o", f"{preference}:FALSE"]
    for field in FIELDS:
        command += ["-e", field]
    output = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    lines = output.stdout.splitlines()
    return [
        {
            name: value.split(";") if value else []
            for name, value in zip(FIELDS, line.split("|"), strict=True)
        }
        for line in lines
    ]


def number(text: str) -> int:
    """Return a field's value; tshark writes bytes in hex without a prefix, booleans as words."""
    if text in ("True", "False"):
        return int(text == "True")
    return int(text, 0)


def address(row: dict[str, int], side: str) -> str:
    """Return an address column in tshark's own notation."""
    high, low = row[f"{side}_hi"], row[f"{side}_lo"]
    if high == MAC_ADDRESS_HI:
        return low.to_bytes(6, "big").hex(":")
    full = ipaddress.IPv6Address(high << 64 | low)
    return str(full.ipv4_mapped or full)


def last_index(layers: list[str], layer: str) -> int:
    """Return where `layer` stands for the last time."""
    return len(layers) - 1 - layers[::-1].index(layer)


def compare(row: dict[str, int], answer: Answer, tunnels: list[tuple[str, int]]) -> dict:
    """Return what differs: field to (ours, tshark's)."""
    layers = answer["frame.protocols"][0].split(":")
    for quoting in ("icmp", "icmpv6", "sflow"):
        # tshark goes on with the packet that an ICMP error quotes or that sFlow sampled.
        if quoting in layers:
            layers = layers[: layers.index(quoting) + 1]
    ours: dict[str, int | str] = {}
    theirs: dict[str, int | str] = {}

    def note(field: str, value: int | str, index: int, text: bool = False) -> None:
        values = answer[field]
        if index < len(values) or values:
            ours[field] = value
            theirs[field] = values[index] if text else number(values[index])

    network = [layer for layer in layers if layer in NETWORK_FIELDS]
    if "eth" in layers and not set(layers[last_index(layers, "eth") :]) & set(NETWORK_FIELDS):
        network = []
    if network and "infiniband" not in layers[: layers.index(network[-1])]:
        inner = network[-1]
        fields = NETWORK_FIELDS[inner]
        last = network.count(inner) - 1
        note(fields[0], address(row, "src"), last, text=True)
        note(fields[1], address(row, "dst"), last, text=True)
        for field, column in zip(fields[2:], ("ttl", "dscp", "ecn", "ip_id"), strict=True):
            note(field, row[column], last)
        after = layers[last_index(layers, inner) :]
        if not row["flags"] & FLAG_LATER_FRAGMENT:
            compare_transport(row, after, layers, note)
    elif not network and "infiniband" not in layers and answer["eth.src"]:
        note("eth.src", address(row, "src"), layers.count("eth") - 1, text=True)
        note("eth.dst", address(row, "dst"), layers.count("eth") - 1, text=True)
    if "infiniband" in layers:
        compare_rdma(row, answer, note)
    outside = [kind for kind, _ in tunnels]
    if "vlan" in layers and not outside:
        note("vlan.id", row["vlan"], layers.count("vlan") - 1)
    for field, kind in TUNNEL_FIELDS.items():
        identifiers = [identifier for each, identifier in tunnels if each == kind]
        if identifiers and answer[field]:
            note(field, identifiers[0], 0)
    if "mpls" in outside:
        note("mpls.label", dict(tunnels)["mpls"], 0)
    return {f: (ours[f], theirs[f]) for f in ours if ours[f] != theirs[f]}


def compare_transport(row: dict[str, int], after: list[str], layers: list[str], note: Callable):
    """Compare what stands behind the innermost IP header."""
    if "tcp" in after:
        columns = ("src_port", "dst_port", "tcp_seq", "tcp_ack", "tcp_flags")
        for field, column in zip(TCP_FIELDS, columns, strict=False):
            # Wireshark counts the reserved bits and AccECN's bit as flags, the column has eight.
            note(field, row[column], 0)
        note("tcp.len", row["payload_length"], 0)
    elif "udp" in after:
        note("udp.srcport", row["src_port"], layers.count("udp") - 1)
        note("udp.dstport", row["dst_port"], layers.count("udp") - 1)


def compare_rdma(row: dict[str, int], answer: Answer, note: Callable) -> None:
    """Compare everything from the BTH on."""
    for field, column in RDMA_FIELDS.items():
        if field == "infiniband.immdt" and answer[field]:
            answer[field] = ["0x" + answer[field][0].replace(":", "")]
        note(field, row[column], 0)
    for field, bit in RDMA_BITS.items():
        note(field, int(bool(row["rdma_flags"] & bit)), 0)
    note("infiniband.bth.padcnt", row["rdma_flags"] >> 5 & 3, 0)
    note("infiniband.aeth.syndrome", row["aeth"] >> 24, 0)
    note("infiniband.aeth.msn", row["aeth"] & 0xFFFFFF, 0)
    if answer["infiniband.lrh.slid"] and row["src_hi"] == 0 and row["src_lo"] < 1 << 16:
        note("infiniband.lrh.slid", row["src_lo"], 0)
        note("infiniband.lrh.dlid", row["dst_lo"], 0)


def files(captures: Path, folder: str) -> list[Path]:
    """Return captures that both programs can open."""
    return [
        path
        for path in sorted((captures / folder).rglob("*"))
        if path.suffix in (".pcap", ".pcapng", ".cap") and "Pause_Frame" not in path.name
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "most", "step"),
    [("rdma", 500, 1), ("encap", 200, 1), ("nccl", 100, 1), ("ndpi/pcap", 30, 9)],
)
def test_fields(
    captures: Path,
    tshark: str,
    load: Callable,
    rows: Callable,
    tunnels_of: Callable,
    folder: str,
    most: int,
    step: int,
) -> None:
    wrong: dict[tuple[str, str], str] = {}
    seen = set()
    compared = 0
    for path in files(captures, folder)[::step]:
        answers = ask_tshark(tshark, path, most)
        if not answers:
            continue
        records = load(path, most)
        assert len(answers) == len(records), path.name
        compared += len(records)
        for i, (row, answer) in enumerate(zip(rows(records), answers, strict=True)):
            for field, values in compare(row, answer, tunnels_of(row)).items():
                if path.name in DIFFERENCES:
                    seen.add(path.name)
                else:
                    wrong.setdefault((path.name, field), f"packet {i + 1}: {values}")
    assert compared > 100
    assert not wrong, "\n".join(f"{where}: {what}" for where, what in wrong.items())
    stale = {name for name in DIFFERENCES if any((captures / folder).rglob(name))} - seen
    assert not stale or step > 1, f"no difference any more: {stale}"
