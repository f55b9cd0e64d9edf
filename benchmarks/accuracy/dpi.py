"""Score the DPI engine against the labels of nDPI's test captures.

    python benchmarks/accuracy/dpi.py [--folder DIR] [--details | --markdown] [FILE...]

Only flows with `Confidence: DPI` count. A flow is covered if its nDPI master protocol has a
counterpart in the catalogue (`NAMES` below is that mapping); of the covered ones it is agreed,
wrong (another name) or unknown. `--details` lists every flow that is not agreed with the first
payload bytes of both directions, so that a reader can see who is right; `--markdown` prints the
tables of docs/accuracy.md.
"""

import argparse
import ipaddress
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fabricscope.analyzers.addresses import address_text
from fabricscope.analyzers.dpi.engine import DpiAnalyzer
from fabricscope.analyzers.flows.table import FlowTable
from fabricscope.collectors.capture.reader import CaptureFile
from fabricscope.collectors.decode import decode
from fabricscope.errors import CaptureError
from fabricscope.pipeline.signatures import load_signatures
from fabricscope.records import PROTOCOLS, allocate_packets, slice_packets

DEFAULT_FOLDER = Path(__file__).resolve().parents[3] / "shared" / "captures" / "ndpi"
FOREVER_NS = 1 << 62
LISTED_FLOWS = 20
"""Protocols with that many flows, or with a flow not agreed, have a line of their own."""

NAMES: dict[str, tuple[str, ...]] = {
    # nDPI's name: ours, where lower case and underscores do not already make them equal. More
    # than one where nDPI's name is narrower or wider than a protocol on the wire.
    "ANSI_C1222": ("c1222",),
    "CNP-IP": ("cnp_ip",),
    "CiscoSkinny": ("skinny",),
    "Controller_Area_Network": ("can_over_ip",),
    "DoH_DoT": ("tls",),
    "EtherSIO": ("ether_s_io",),
    "EthernetGlobalData": ("egd",),
    "EthernetIP": ("ethernet_ip",),
    "FTPS": ("ftp", "tls"),
    "FTP_CONTROL": ("ftp",),
    "FTP_DATA": ("ftp_data",),
    "HTTP_Connect": ("http",),
    "HTTP_Proxy": ("http",),
    "HalfLife2": ("source_engine",),
    "IMAPS": ("imap", "tls"),
    "IPSec": ("ipsec",),
    "IP_OSPF": ("ospf",),
    "IP_PIM": ("pim",),
    "JSON-RPC": ("jsonrpc", "http"),
    "Jabber": ("xmpp",),
    "KNXnet_IP": ("knxnet_ip",),
    "LDAPS": ("tls",),
    "Mining": ("stratum",),
    "MsSQL-TDS": ("tds",),
    "NAT-PMP": ("nat_pmp",),
    "Controller Area Network": ("can_over_ip",),
    "OPC-UA": ("opcua",),
    "POPS": ("pop3", "tls"),
    "PTPv2": ("ptp",),
    "RTP": ("rtp",),
    "S7CommPlus": ("s7comm_plus",),
    "SMBv1": ("smb",),
    "SMBv23": ("smb",),
    "SMTPS": ("smtp", "tls"),
    "SOAP": ("http",),
    "SRTP": ("rtp",),
    "Service_Location_Protocol": ("slp",),
    "SteamDatagramRelay": ("steam_datagram_relay",),
    "TPLINK_SHP": ("tplink_shp",),
    "UBNTAC2": ("ubiquiti_discovery",),
    "WSD": ("ws_discovery",),
    "IEC60870": ("iec104",),
    "ISO9506-1-MMS": ("mms",),
    "MEGACO": ("megaco",),
    "NetFlow": ("netflow",),
    "IPFIX": ("netflow",),
    "BJNP": ("bjnp",),
    "TACACS_Plus": ("tacacs_plus",),
    "TeamSpeak": ("teamspeak",),
    "TocaBoca": ("photon",),
    "Yojimbo": ("netcode_io",),
    "eDonkey": ("edonkey",),
    "RESP": ("redis",),
    "CLDAP": ("ldap",),
    "BeckhoffADS": ("beckhoff_ads",),
    "GenshinImpact": ("genshin_impact",),
    "VMWARE": ("vmware_auth",),
    "PC_Anywhere": ("pcanywhere",),
    "TrojanTCP": ("socks_trojan",),
    "OpenWire": ("activemq",),
    "RPC": ("sunrpc", "portmap"),
    "ICMPV6": ("icmpv6",),
    "DHCPV6": ("dhcpv6",),
    "IP_in_IP": ("ipip",),
    "SCTP": ("sctp",),
    "VXLAN": ("vxlan",),
    "TLS": ("tls",),
    "WhatsApp": ("whatsapp",),
    "Oracle": ("oracle",),
    "Redis": ("redis",),
    "Memcached": ("memcached",),
    "RMCP": ("ipmi",),
    "ZMQ": ("zeromq",),
    "Cassandra": ("cassandra",),
    "SAP": ("sap",),
    "HTTP2": ("http2",),
    "gRPC": ("http2",),
    "Lustre": ("lustre_lnet",),
    "Bitcoin": ("bitcoin",),
    "HP_VIRTGRP": ("hp_virtual_groups",),
    "MQTT": ("mqtt",),
}
_LINE = re.compile(r"\s*\d+\s+(\S+) (\S+) <?-> (\S+) \[proto: [\d.]+/([^\]]+)\]")


class Label(NamedTuple):
    """One line of an nDPI result: canonical flow key and the protocol with its sub-protocol."""

    key: tuple[str, tuple[str, int], tuple[str, int]]
    name: str


class Named(NamedTuple):
    """One flow of ours with the first payload bytes of each side."""

    name: str
    source: str
    confidence: float
    detail: str


def read_labels(path: Path) -> list[Label]:
    """Return the flows of a result file that nDPI recognised by their payload."""
    labels = []
    for line in path.read_text("utf-8", "replace").splitlines():
        match = _LINE.match(line)
        if match and "[Confidence: DPI]" in line:
            first, second = _endpoint(match[2]), _endpoint(match[3])
            key = (match[1].lower(), min(first, second), max(first, second))
            labels.append(Label(key, match[4]))
    return labels


def _endpoint(text: str) -> tuple[str, int]:
    address, _, port = text.rpartition(":")
    if not port.isdigit():
        address, port = text, "0"
    address = address.strip("[]")
    if address.count("::") > 1:
        # nDPI shortens every ":0:", not one run of zeros.
        address = address.replace("::", ":0:")
        address += "0" if address.endswith(":") else ""
    return str(ipaddress.ip_address(address)), int(port)


def name_flows(path: Path) -> dict[tuple[str, tuple[str, int], tuple[str, int]], list[Named]]:
    """Run decode, flow table and DPI over one capture; return the verdicts by flow key."""
    packets = allocate_packets()
    flow = np.zeros(len(packets.time_ns), np.int64)
    side = np.zeros(len(packets.time_ns), np.uint8)
    table = FlowTable(capacity=16_384, sketches=16, idle_ns=FOREVER_NS)
    engine = DpiAnalyzer(_SIGNATURES, flow_capacity=16_384)
    found: dict[tuple[str, tuple[str, int], tuple[str, int]], list[Named]] = defaultdict(list)
    with CaptureFile(str(path)) as capture:
        while True:
            view, rows = capture.read(packets)
            if rows == 0:
                break
            batch = slice_packets(packets, 0, rows)
            decode(view, batch)
            closed = table.update(batch, flow[:rows], side[:rows])
            engine.update(view, batch, flow[:rows], side[:rows])
            _collect(table, engine, closed, found)
            engine.flow_closed(closed)
            table.release(closed)
    _collect(table, engine, table.open_slots(), found)
    return found


def _collect(
    table: FlowTable,
    engine: DpiAnalyzer,
    slots: np.ndarray,
    found: dict[tuple[str, tuple[str, int], tuple[str, int]], list[Named]],
) -> None:
    verdicts = engine.verdicts(slots)
    for index, slot in enumerate(slots.tolist()):
        record = table.flows[slot]
        ends = [
            (address_text(int(record[f"{end}_hi"]), int(record[f"{end}_lo"])),
             int(record[f"{end}_port"]))
            for end in "ab"
        ]  # fmt: skip
        protocol = PROTOCOLS[record["protocol"]]
        found[protocol, min(ends), max(ends)].append(
            Named(
                verdicts.application[index],
                verdicts.application_source[index],
                float(verdicts.confidence[index]),
                str(verdicts.detail[index]),
            )
        )


def counterparts(master: str) -> tuple[str, ...]:
    """Return our names for an nDPI master protocol; only those of the catalogue."""
    names = NAMES.get(master, (re.sub(r"[^a-z0-9]+", "_", master.lower()),))
    return tuple(name for name in names if _SIGNATURES.index(name))


def main() -> None:
    """Score all captures and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--details", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    results: dict[str, Counter[str]] = defaultdict(Counter)
    confused: Counter[tuple[str, str]] = Counter()
    for path in sorted((options.folder / "result").glob("*.out")):
        name = path.name.removesuffix(".out")
        if options.files and not any(wanted in name for wanted in options.files):
            continue
        try:
            found = name_flows(options.folder / "pcap" / name)
        except CaptureError as error:
            print(f"{name}: {error}")
            found = {}
        for label in read_labels(path):
            master = label.name.partition(".")[0]
            outcome, got = judge(label, found)
            results[master][outcome] += 1
            if outcome == "wrong":
                confused[master, got] += 1
            if options.details and outcome != "agreed":
                ends = f"{label.key[1][0]}:{label.key[1][1]} {label.key[2][0]}:{label.key[2][1]}"
                print(f"{outcome:9} {name} {label.key[0]} {ends} ndpi={label.name} ours={got}")
    (report_markdown if options.markdown else report)(results, confused)


def judge(
    label: Label,
    found: dict[tuple[str, tuple[str, int], tuple[str, int]], list[Named]],
) -> tuple[str, str]:
    """Return the outcome for one labelled flow and our name for it."""
    wanted = counterparts(label.name.partition(".")[0])
    protocol, first, second = label.key
    aliases = {"ah": "ah", "esp": "esp", "pgm": "ipv4", "115": "ipv4"}
    key = (aliases.get(protocol, protocol), first, second)
    flows = found.get(key, [])
    if not flows and protocol not in ("tcp", "udp"):
        pair = {first[0], second[0]}
        flows = [
            named
            for (_, one, two), many in found.items()
            for named in many
            if {one[0], two[0]} == pair and named.name in wanted
        ]
    names = [named.name for named in flows]
    got = next((name for name in names if name in wanted), next((n for n in names if n), ""))
    if not wanted:
        return "uncovered", got
    if not flows:
        return "missing", ""
    if got in wanted:
        return "agreed", got
    return ("wrong", got) if got else ("unknown", "")


def report(results: dict[str, Counter[str]], confused: Counter[tuple[str, str]]) -> None:
    """Print one line a protocol, the confusions and the totals."""
    print(f"{'nDPI protocol':28} {'flows':>6} {'agreed':>7} {'wrong':>6} {'unknown':>8}")
    for master, counts in sorted(results.items(), key=lambda item: -sum(item[1].values())):
        if counts["uncovered"]:
            print(f"{master:28} {sum(counts.values()):6}  not in the catalogue")
            continue
        unknown = counts["unknown"] + counts["missing"]
        print(
            f"{master:28} {sum(counts.values()):6} {counts['agreed']:7} {counts['wrong']:6} "
            f"{unknown:8}"
        )
    for (master, got), count in confused.most_common():
        print(f"wrong: nDPI {master}, ours {got}: {count}")
    total = sum((counts for counts in results.values()), Counter[str]())
    flows = sum(total.values())
    covered = flows - total["uncovered"]
    print(f"flows {flows}, covered {covered} ({covered / flows:.1%})")
    for name in ("agreed", "wrong", "unknown", "missing"):
        print(f"{name} {total[name]} ({total[name] / covered:.2%} of covered)")


def report_markdown(results: dict[str, Counter[str]], confused: Counter[tuple[str, str]]) -> None:
    """Print the totals, the protocols with the most flows and all confusions as tables."""
    total = sum((counts for counts in results.values()), Counter[str]())
    flows = sum(total.values())
    covered = max(flows - total["uncovered"], 1)
    unknown = total["unknown"] + total["missing"]
    print("| flows | covered | agreed | wrong | unknown |\n|---|---|---|---|---|")
    print(
        f"| {flows:,} | {covered:,} ({covered / flows:.1%}) | {total['agreed']:,} "
        f"({total['agreed'] / covered:.2%} of covered) | {total['wrong']} "
        f"({total['wrong'] / covered:.2%}) | {unknown} ({unknown / covered:.2%}) |"
    )
    print("\n| nDPI | flows | agreed | wrong | unknown |\n|---|---|---|---|---|")
    known = [(name, counts) for name, counts in results.items() if not counts["uncovered"]]
    for name, counts in sorted(known, key=lambda item: (-sum(item[1].values()), item[0])):
        if sum(counts.values()) >= LISTED_FLOWS or counts["agreed"] < sum(counts.values()):
            print(
                f"| {name} | {sum(counts.values())} | {counts['agreed']} | {counts['wrong']} | "
                f"{counts['unknown'] + counts['missing']} |"
            )
    print("\n| nDPI | here | flows |\n|---|---|---|")
    for (master, got), count in confused.most_common():
        print(f"| {master} | {got} | {count} |")
    missing = sorted(name for name, counts in results.items() if counts["uncovered"])
    print(f"\nNot in the catalogue: {', '.join(missing)}.")


_SIGNATURES = load_signatures()

if __name__ == "__main__":
    main()
