"""The engine: order of streams, decisions, bounds, sources of names."""

import random
import struct

import numpy as np
import pytest

from fabricscope.analyzers.dpi.engine import DpiAnalyzer
from fabricscope.analyzers.dpi.state import MAX_PACKETS
from fabricscope.analyzers.dpi.tables import CompiledSignatures
from fabricscope.records import FLAG_DUPLICATE
from reference.dpi_traffic import SYN, Sent, run, verdict

REQUEST = b"GET /index.html HTTP/1.1\r\nHost: example.org\r\nUser-Agent: test\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nServer: unit\r\nContent-Type: text/html\r\n\r\n<html>"
QUERY = bytes.fromhex("123401000001000000000000076578616d706c65036f72670000010001")
ANSWER = bytes.fromhex(
    "123481800001000100000000076578616d706c65036f72670000010001"
) + bytes.fromhex("c00c000100010000003c0004c0a80105")


@pytest.fixture
def engine(catalogue: CompiledSignatures) -> DpiAnalyzer:
    return DpiAnalyzer(catalogue, flow_capacity=64, heads=8)


def tcp(payload: bytes, seq: int, side: int = 0, **fields: object) -> Sent:
    return Sent(payload, side, protocol="tcp", seq=seq, **fields)  # type: ignore[arg-type]


def test_request_and_reply_agree(engine: DpiAnalyzer) -> None:
    run(engine, [tcp(REQUEST, 1), tcp(RESPONSE, 900, 1)])
    assert verdict(engine) == ("http", "handshake")
    detail = engine.verdicts(np.array([0])).detail[0]
    assert detail["host"] == "example.org"
    assert detail["status"] == 200


def test_segments_in_any_order_give_the_same_head(catalogue: CompiledSignatures) -> None:
    source = random.Random(3)
    for base in (1, 0xFFFF_FFF0):
        for _ in range(40):
            pieces = []
            at = 0
            while at < len(REQUEST):
                size = source.randrange(12, 30)
                pieces.append((at, REQUEST[at : at + size]))
                at += size - source.choice((0, 0, 3))
            order = pieces[:3]
            source.shuffle(order)
            sent = [tcp(b"", base - 1, tcp_flags=SYN)]
            sent += [tcp(data, base + at) for at, data in order + pieces[3:]]
            engine = DpiAnalyzer(catalogue, flow_capacity=4)
            run(engine, sent)
            assert verdict(engine) == ("http", "payload")
            assert engine.verdicts(np.array([0])).detail[0]["host"] == "example.org"


def test_retransmission_with_other_bytes_changes_nothing(engine: DpiAnalyzer) -> None:
    run(engine, [
        tcp(b"", 0, tcp_flags=SYN), tcp(REQUEST[:20], 1), tcp(b"\x16\x03\x01" * 6, 1),
        tcp(REQUEST[20:], 21),
    ])  # fmt: skip
    assert verdict(engine)[0] == "http"


def test_wrong_ports_do_not_decide_against_payload(engine: DpiAnalyzer) -> None:
    run(engine, [tcp(REQUEST, 1, ports=(40_000, 443))])
    assert verdict(engine)[0] == "http"
    run(engine, [Sent(bytes(range(200, 240)), slot=1, protocol="tcp", ports=(40_000, 443))])
    assert verdict(engine, 1) == ("", "")
    run(engine, [Sent(b"", slot=2, protocol="tcp", ports=(40_000, 443), tcp_flags=SYN)])
    assert verdict(engine, 2) == ("tls", "port")
    assert engine.verdicts(np.array([2])).confidence[0] < 0.5


def test_off_port_lowers_confidence(engine: DpiAnalyzer) -> None:
    run(engine, [
        Sent(QUERY, slot=0, ports=(40_000, 53)), Sent(QUERY, slot=1, ports=(40_000, 9_999)),
    ])  # fmt: skip
    on_port, off_port = engine.verdicts(np.array([0, 1])).confidence
    assert verdict(engine, 1) == ("dns", "payload")
    assert off_port < on_port


def test_duplicates_are_skipped(engine: DpiAnalyzer) -> None:
    run(engine, [tcp(REQUEST, 1, flags=FLAG_DUPLICATE)])
    assert verdict(engine) == ("", "")


def test_dns_answers_name_addresses(engine: DpiAnalyzer) -> None:
    run(engine, [Sent(QUERY, ports=(4_000, 53)), Sent(ANSWER, 1, ports=(4_000, 53))])
    assert verdict(engine) == ("dns", "handshake")
    detail = engine.verdicts(np.array([0])).detail[0]
    assert detail["query"] == "example.org"
    assert detail["answers"] == ["192.168.1.5"]


def test_slots_are_forgotten_when_closed(engine: DpiAnalyzer) -> None:
    run(engine, [tcp(REQUEST, 1)])
    closed = engine.flow_closed(np.array([0]))
    assert closed.application == ["http"]
    run(engine, [Sent(QUERY, ports=(4_000, 53))])
    assert verdict(engine) == ("dns", "payload")
    assert "host" not in engine.verdicts(np.array([0])).detail[0]


def test_more_flows_than_heads_are_counted(catalogue: CompiledSignatures) -> None:
    engine = DpiAnalyzer(catalogue, flow_capacity=64, heads=4)
    run(engine, [Sent(b"\xf3" * 30, slot=slot) for slot in range(32)])
    assert engine.counters()["flows_without_head"] == 28
    run(engine, [Sent(QUERY, slot=40, ports=(4_000, 53))])
    assert verdict(engine, 40)[0] == "dns"
    engine.flow_closed(np.arange(64))
    run(engine, [Sent(QUERY, slot=slot, ports=(4_000, 53)) for slot in range(4)])
    assert all(verdict(engine, slot)[0] == "dns" for slot in range(4))


def test_unknown_flows_are_given_up_after_a_bound(engine: DpiAnalyzer) -> None:
    for fill in (b"\0", b"A", None):
        payloads = [
            random.Random(row).randbytes(1_400) if fill is None else fill * 1_400
            for row in range(100)
        ]
        before = engine.counters()
        run(engine, [tcp(data, 1 + 1_400 * row) for row, data in enumerate(payloads)])
        after = engine.counters()
        assert after["packets_looked_at"] - before["packets_looked_at"] == MAX_PACKETS
        work = after["conditions_evaluated"] - before["conditions_evaluated"]
        assert work < MAX_PACKETS * 100, fill
        engine.flow_closed(np.array([0]))


def test_large_payload_of_one_byte_is_bounded_work(engine: DpiAnalyzer) -> None:
    run(engine, [Sent(b"\0" * 65_000, total=65_507)])
    assert engine.counters()["conditions_evaluated"] < 200


def test_stun_gives_way_to_media(engine: DpiAnalyzer) -> None:
    stun = bytes.fromhex("000100002112a442") + bytes(range(12))
    media = [
        struct.pack(">BBHII", 0x80, 96, 100 + n, 3_000 + 160 * n, 0xCAFE) + bytes(160)
        for n in range(3)
    ]
    run(engine, [Sent(stun)])
    assert verdict(engine)[0] == "stun"
    run(engine, [Sent(data) for data in media])
    assert verdict(engine) == ("rtp", "payload")


def test_rdma_flows_are_named_by_what_rides_in_them(engine: DpiAnalyzer) -> None:
    arp = bytes.fromhex("08060000002008001404000100000000000000")
    write = [Sent(b"x" * 64, slot=0, protocol="roce_v2", opcode=6, dest_qp=9)] * 100
    send = [Sent(arp + bytes(40), slot=1, protocol="roce_v2", opcode=4, dest_qp=9)]
    run(engine, write + send)
    assert verdict(engine, 0) == ("roce_v2", "payload")
    assert verdict(engine, 1) == ("ipoib", "payload")


def test_a_store_is_read_to_the_end_of_the_batch_in_which_it_is_recognised(
    engine: DpiAnalyzer,
) -> None:
    """What ranks ask for late stands in the same batch as what made the store known."""
    store, listener = (54_160, 29_500), 46_879
    value = b"\x02\x00" + listener.to_bytes(2, "big") + bytes([10, 0, 0, 2]) + bytes(178)
    sent = [
        tcp(b"\x00\xce\xf7\x85\x3c", 1, ports=store),
        tcp(b"\x04\x05" + bytes(7) + b"init/" + b"\x01" + bytes(7), 6, ports=store),
        tcp(b"\x02" + bytes(7), 1, 1, ports=store),
    ]
    sent += [tcp(b"\x00", 9 + row, 1, ports=store) for row in range(40)]
    sent.append(tcp((186).to_bytes(8, "little") + value, 60, 1, ports=store))
    sent.append(tcp(b"\x01" * 64, 1, slot=1, ports=(40_001, listener)))
    run(engine, sent)
    assert verdict(engine, 0)[0] == "c10d_store"
    assert verdict(engine, 1) == ("gloo", "correlation")


def test_connection_manager_names_the_queue_pair(engine: DpiAnalyzer) -> None:
    request = bytearray(256)
    request[:4], request[16:18] = b"\x01\x07\x02\x03", b"\x00\x10"
    request[24:28] = b"\x00\x00\x00\x2a"
    request[32:40] = (0x0106_0000 | 4_420).to_bytes(8, "big")
    request[56:59] = b"\x00\x00\x63"
    run(engine, [
        Sent(bytes(request), slot=0, protocol="roce_v2", opcode=0x64, dest_qp=1),
        Sent(b"y" * 64, side=1, slot=1, protocol="roce_v2", opcode=6, dest_qp=0x63),
    ])  # fmt: skip
    detail = engine.verdicts(np.array([0])).detail[0]
    assert (detail["service"], detail["local_qp"]) == ("nvme_rdma", 0x63)
    assert verdict(engine, 1) == ("nvme_rdma", "correlation")
