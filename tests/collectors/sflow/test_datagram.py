import dataclasses
import random
import subprocess
from pathlib import Path

import pytest

from fabricscope.collectors.capture import CaptureFile
from fabricscope.collectors.decode import decode
from fabricscope.collectors.sflow.datagram import Datagram, parse
from fabricscope.records import allocate_packets, slice_packets
from reference import sflow_traffic as made

CAPTURES = (
    "akvorado_sflow/data-1140.pcap",
    "akvorado_sflow/data-discard-interface.pcap",
    "akvorado_sflow/data-encap-vxlan.pcap",
    "akvorado_sflow/data-icmpv4.pcap",
    "akvorado_sflow/data-icmpv6.pcap",
    "akvorado_sflow/data-local-interface.pcap",
    "akvorado_sflow/data-multiple-interfaces.pcap",
    "akvorado_sflow/data-qinq.pcap",
    "akvorado_sflow/data-sflow-expanded-sample.pcap",
    "akvorado_sflow/data-sflow-ipv4-data.pcap",
    "akvorado_sflow/data-sflow-raw-ipv4.pcap",
    "tcpdump/sflow_expanded.pcap",
    "tcpdump/sflow_multiple_counter_30_pdus.pcap",
)


def payloads(path: Path) -> list[bytes]:
    with CaptureFile(str(path)) as file:
        packets = allocate_packets(1_000)
        view, count = file.read(packets)
        rows = slice_packets(packets, 0, count)
        decode(view, rows)
        spans = zip(rows.payload_offset.tolist(), rows.payload_length.tolist(), strict=True)
        return [bytes(view[at : at + length]) for at, length in spans]


def ask(tshark: str, path: Path, fields: list[str]) -> list[dict[str, list[str]]]:
    """Return each packet's values by field, as tshark reads them."""
    options = [option for field in fields for option in ("-e", field)]
    done = subprocess.run(
        [tshark, "-r", str(path), "-T", "fields", "-E", "occurrence=a", *options],
        capture_output=True,
        text=True,
        check=True,
    )
    return [
        {
            field: value.split(",") if value else []
            for field, value in zip(fields, line.split("\t"), strict=True)
        }
        for line in done.stdout.splitlines()
    ]


@pytest.mark.parametrize("name", CAPTURES)
def test_every_field_is_what_tshark_reads(captures: Path, tshark: str, name: str) -> None:
    path = captures / "encap" / name
    interface = {
        "ifindex": "index",
        "iftype": "kind",
        "ifspeed": "speed_bps",
        "ifinoct": "in_octets",
        "ifinpkt": "in_unicast",
        "ifinmcast": "in_multicast",
        "ifinbcast": "in_broadcast",
        "ifindisc": "in_discards",
        "ifinerr": "in_errors",
        "ifoutoct": "out_octets",
        "ifoutpkt": "out_unicast",
        "ifoutmcast": "out_multicast",
        "ifoutbcast": "out_broadcast",
        "ifoutdisc": "out_discards",
        "ifouterr": "out_errors",
    }
    ethernet = {
        "dot3StatsAlignmentErrors": "alignment_errors",
        "dot3StatsFCSErrors": "fcs_errors",
        "dot3StatsInternalMacReceiveErrors": "internal_receive_errors",
        "dot3StatsSymbolErrors": "symbol_errors",
    }
    head = (
        "agent",
        "sequence_number",
        "sysuptime",
        "header.frame_length",
        "header.payload_stripped",
    )
    head += ("counters_record_format",)
    fields = [f"sflow_245.{field}" for field in (*head, *interface, *ethernet)]
    told = ask(tshark, path, fields)
    found = payloads(path)
    assert len(told) == len(found) > 0
    for data, row in zip(found, told, strict=True):
        datagram = parse(data)
        if not row["sflow_245.agent"]:  # NetFlow, sent to sFlow's port
            assert datagram is None
            continue
        assert datagram is not None
        assert datagram.malformed == 0
        assert row["sflow_245.agent"] == [datagram.agent]
        assert row["sflow_245.sequence_number"][0] == str(datagram.sequence)
        assert row["sflow_245.sysuptime"] == [str(datagram.uptime_ms)]
        flows, counters = datagram.flow_samples, datagram.counter_samples
        sent = row["sflow_245.header.frame_length"]
        taken = row["sflow_245.header.payload_stripped"]
        for flow, length, stripped in zip(flows, sent, taken, strict=True):
            assert flow.frame_bytes == int(length) - min(int(stripped), 4)
        for field, own in interface.items():
            expected = [int(value, 0) for value in row[f"sflow_245.{field}"]]
            got = [getattr(one.interface, own) for one in counters if one.interface]
            assert got == expected, field
        if "2001" in row["sflow_245.counters_record_format"]:
            continue  # tshark reads on in the middle of records of kinds that it does not know
        for field, own in ethernet.items():
            expected = [int(value, 0) for value in row[f"sflow_245.{field}"]]
            got = [getattr(one.ethernet, own) for one in counters if one.ethernet]
            assert got == expected, field


@pytest.mark.parametrize("expanded", [False, True])
def test_samples_by_hand(expanded: bool) -> None:
    frame = bytes(range(64))
    flow = made.flow_sample([made.raw_header(frame, 1_000)], rate=512, expanded=expanded)
    counters = made.counter_sample(
        [made.generic(7, in_octets=1 << 40, status=1), made.dot3(fcs=9), made.optics([400, 90])],
        sequence=44,
        expanded=expanded,
    )
    data = made.datagram([flow, counters], sequence=5, uptime_ms=77, agent=bytes(15) + b"\x01")
    datagram = parse(data)
    assert datagram is not None
    assert (datagram.agent, datagram.sequence, datagram.uptime_ms) == ("::1", 5, 77)
    (sample,) = datagram.flow_samples
    assert (sample.input, sample.output, sample.sampling_rate, sample.source) == (3, 4, 512, 3)
    assert (sample.header, sample.frame_bytes, sample.protocol) == (frame, 1_000, 1)
    (counter,) = datagram.counter_samples
    assert counter.interface is not None
    assert (counter.interface.in_octets, counter.interface.status) == (1 << 40, 1)
    assert counter.ethernet is not None
    assert counter.ethernet.fcs_errors == 9
    assert counter.optical is not None
    assert counter.optical.rx_power_uw == (400, 90)
    assert counter.optical.tx_power_uw == (500, 500)
    assert counter.optical.temperature_c == 41.5


def test_ports_that_are_no_port() -> None:
    for value in (0, 0x3FFF_FFFF, 1 << 30 | 256, 2 << 30 | 5):
        data = made.datagram([made.flow_sample([], input_port=value, output_port=value)])
        datagram = parse(data)
        assert datagram is not None
        (sample,) = datagram.flow_samples
        assert (sample.input, sample.output) == (None, None)


def test_what_is_no_sflow() -> None:
    good = made.datagram([])
    for data in (b"", b"\0", good[:27], b"\0\0\0\4" + good[4:], good[:4] + bytes(4) + good[8:]):
        assert parse(data) is None


def weigh(datagram: Datagram) -> None:
    """Touch every field, so that a lazily broken one would show."""
    assert dataclasses.asdict(datagram)


def test_cut_and_damaged_datagrams_are_counted_and_nothing_else() -> None:
    frame = bytes(range(100))
    whole = made.datagram(
        [
            made.flow_sample([made.raw_header(frame), made.record(1001, bytes(16))]),
            made.flow_sample([made.raw_header(frame)], expanded=True),
            made.counter_sample([made.generic(), made.dot3(), made.optics([1, 2, 3, 4])]),
            made.record(99, bytes(20)),
            made.counter_sample([made.generic()], expanded=True),
        ]
    )
    complete = parse(whole)
    assert complete is not None
    assert complete.malformed == 0
    for end in range(len(whole)):
        datagram = parse(whole[:end])
        assert datagram is None or datagram.malformed > 0, end
    draw = random.Random(1)
    for _ in range(20_000):
        data = bytearray(whole)
        for _ in range(draw.randrange(1, 6)):
            data[draw.randrange(len(data))] = draw.choice((0, 1, 0x7F, 0xFF, draw.randrange(256)))
        if draw.random() < 0.3:
            del data[draw.randrange(len(data)) :]
        datagram = parse(bytes(data))
        if datagram is not None:
            weigh(datagram)


def test_a_datagram_that_claims_much_costs_little() -> None:
    data = bytearray(made.datagram([made.flow_sample([])]))
    data[24:28] = b"\xff\xff\xff\xff"
    datagram = parse(bytes(data))
    assert datagram is not None
    assert (len(datagram.flow_samples), datagram.malformed) == (1, 1)
