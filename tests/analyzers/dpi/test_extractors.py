"""Extractors: what they read, and that damaged bytes raise nothing."""

import hashlib
import random
from pathlib import Path

import numpy as np
import pytest

from fabricscope.analyzers.dpi.engine import DpiAnalyzer
from fabricscope.analyzers.dpi.extractors import EXTRACTORS, extract_detail
from fabricscope.analyzers.dpi.extractors.dns import read_answers, read_name
from fabricscope.analyzers.dpi.extractors.lldp import parse_neighbour
from fabricscope.analyzers.dpi.extractors.rdma_cm import parse_connection_request
from fabricscope.analyzers.dpi.extractors.text import Head, printable
from fabricscope.analyzers.dpi.extractors.tls import ClientHello, certificate_name, ja4
from fabricscope.analyzers.dpi.tables import CompiledSignatures
from reference.dpi_traffic import Sent, run


def head(*messages: bytes) -> Head:
    return Head(messages, tuple(len(message) for message in messages))


def client_hello(name: bytes = b"example.org") -> bytes:
    extensions = (
        b"\x0a\x0a\x00\x00"  # GREASE
        + b"\x00\x00" + (len(name) + 5).to_bytes(2, "big") + (len(name) + 3).to_bytes(2, "big")
        + b"\x00" + len(name).to_bytes(2, "big") + name
        + b"\x00\x10\x00\x0e\x00\x0c\x02h2\x08http/1.1"
        + b"\x00\x0d\x00\x06\x00\x04\x04\x03\x08\x04"
        + b"\x00\x2b\x00\x05\x04\x03\x04\x03\x03"
    )  # fmt: skip
    body = (
        b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x06\x1a\x1a\x13\x02\x13\x01" + b"\x01\x00"
        + len(extensions).to_bytes(2, "big") + extensions
    )  # fmt: skip
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


def test_client_hello_gives_name_alpn_and_ja4() -> None:
    detail = extract_detail("tls", head(client_hello()), head())
    assert detail["sni"] == "example.org"
    assert detail["alpn"] == ["h2", "http/1.1"]
    ciphers = hashlib.sha256(b"1301,1302").hexdigest()[:12]
    extensions = hashlib.sha256(b"000d,002b_0403,0804").hexdigest()[:12]
    assert detail["ja4"] == f"t13d0204h2_{ciphers}_{extensions}"


def test_ja4_of_the_published_example() -> None:
    # The worked example of FoxIO's technical description of JA4.
    hello = ClientHello(
        version=0x0303,
        ciphers=[0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013,
                 0xC014, 0x009C, 0x009D, 0x002F, 0x0035],
        extensions=[0x001B, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002D, 0x000D, 0x0005,
                    0x0023, 0x0012, 0x002B, 0xFF01, 0x000B, 0x000A, 0x0015],
        signatures=[0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601],
        versions=[0x0304, 0x0303],
        server_name=b"x",
        alpn=[b"h2"],
    )  # fmt: skip
    assert ja4(hello, "t") == "t13d1516h2_8daaf6152771_e5627efa2ab1"


def test_quic_initial_of_rfc_9001_is_decrypted() -> None:
    pytest.importorskip("cryptography", reason="decrypting QUIC needs the package cryptography")
    # RFC 9001, appendix A.2: the client's protected Initial, its first 300 bytes.
    packet = bytes.fromhex(
        "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9bd8bab936b47d92"
        "ec356c0bab7df5976d27cd449f63300099f3991c260ec4c60d17b31f8429157bb35a1282a643a8d2262cad6750"
        "0cadb8e7378c8eb7539ec4d4905fed1bee1fc8aafba17c750e2c7ace01e6005f80fcb7df621230c83711b39343"
        "fa028cea7f7fb5ff89eac2308249a02252155e2347b63d58c5457afd84d05dfffdb20392844ae812154682e9cf"
        "012f9021a6f0be17ddd0c2084dce25ff9b06cde535d0f920a2db1bf362c23e596d11a4f5a6cf3948838a3aec4e"
        "15daf8500a6ef69ec4e3feb6b1d98e610ac8b7ec3faf6ad760b7bad1db4ba3485e8a94dc250ae3fdb41ed15fb6"
        "a8e5eba0fc3dd60bc8e30c5c4287e53805db059ae0648db2f64264ed5e39be2e20d82df566da8dd5998ccabdae"
    )
    detail = extract_detail("quic", head(packet), head())
    assert detail["version"] == "1"
    assert detail["sni"] == "example.com"
    assert str(detail["ja4"]).startswith("q13d0211an_")


def test_a_cut_client_hello_has_a_name_but_no_fingerprint() -> None:
    detail = extract_detail("tls", head(client_hello()[:-4]), head())
    assert detail["sni"] == "example.org"
    assert "ja4" not in detail


def test_certificate_name_is_the_subject() -> None:
    def name(text: bytes) -> bytes:
        return bytes.fromhex("0603550403") + b"\x0c" + bytes([len(text)]) + text

    assert certificate_name(name(b"The CA") + b"..." + name(b"host.example")) == "host.example"
    assert certificate_name(name(b"The CA")) == ""


def test_text_from_packets_is_bounded_and_escaped() -> None:
    assert printable(b"a\x00\x1b[31m\\<\xff") == "a\\x00\\x1b[31m\\x5c<\\xff"
    assert len(printable(b"x" * 10_000)) < 140


def test_http_services() -> None:
    s3 = b"PUT /bucket/key HTTP/1.1\r\nHost: s3\r\nX-Amz-Date: 1\r\n\r\n"
    assert extract_detail("http", head(s3), head())["service"] == "s3"
    scrape = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"
    assert extract_detail("http", head(scrape), head())["service"] == "prometheus"


@pytest.mark.parametrize(
    ("path", "service"),
    [(b"\x14/gnmi.gNMI/Subscribe", "gnmi"), (bytes.fromhex("8962c1fa5ecac8000000"), "ray")],
)
def test_grpc_services(path: bytes, service: str) -> None:
    block = b"\x83\x86\x44" + path
    frame = len(block).to_bytes(3, "big") + b"\x01\x04\x00\x00\x00\x01" + block
    data = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame
    detail = extract_detail("http2", head(data), head())
    assert detail["service"] == service
    assert detail["method"] == "POST"


def test_bgp_open_with_four_octet_as() -> None:
    parameters = bytes.fromhex("0206410400010001")
    body = b"\x04\x5b\xa0\x00\xb4\x0a\x00\x00\x01" + bytes([len(parameters)]) + parameters
    message = b"\xff" * 16 + (19 + len(body)).to_bytes(2, "big") + b"\x01" + body
    detail = extract_detail("bgp", head(message), head())
    assert detail == {"as": 65_537, "hold_time_s": 180, "id": "10.0.0.1"}


def test_nvme_connect_names_the_subsystem() -> None:
    init = bytes.fromhex("0000800080000000") + bytes(120)
    connect = bytearray(72 + 1_024)
    connect[0], connect[2] = 4, 72
    connect[4:8] = (72 + 1_024).to_bytes(4, "little")
    connect[8], connect[12] = 0x7F, 1
    connect[72 + 256 : 72 + 256 + 9] = b"nqn.2014a"
    connect[72 + 512 : 72 + 512 + 9] = b"nqn.2014b"
    detail = extract_detail("nvme_tcp", head(init + bytes(connect)), head())
    assert (detail["subnqn"], detail["hostnqn"]) == ("nqn.2014a", "nqn.2014b")


def test_lldp_neighbour() -> None:
    frame = bytes.fromhex("02070400112233445504050553777031060200 78") + b"\x0a\x04leaf" + b"\0\0"
    assert parse_neighbour(frame) == {
        "chassis": "00:11:22:33:44:55", "port": "Swp1", "ttl_s": 120, "system_name": "leaf",
    }  # fmt: skip


def test_a_name_that_points_at_itself_ends() -> None:
    with pytest.raises(ValueError, match="too many labels"):
        read_name(bytes(12) + b"\xc0\x0c", 12)


SEEDS = [
    client_hello(),
    b"\x16\xfe\xfd" + bytes(8) + b"\x00\x40\x01" + bytes(80),
    b"\xc0\x00\x00\x00\x01\x08" + bytes(60),
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x05\x01\x04\x00\x00\x00\x01\x82\x86\x41\x01a",
    bytes.fromhex("123481800001000100000000016100000100 01c00c00010001000000010004c0a80105"),
    b"\x01\x01\x06" + bytes(233) + b"\x63\x82\x53\x63\x35\x01\x01\x0c\x03abc\xff",
    b"\xff" * 16 + b"\x00\x1d\x01\x04\x00\x01\x00\xb4\x01\x02\x03\x04\x00",
    bytes.fromhex("0000800080000000") + bytes(120) + b"\x04\x00\x48\x00\x48\x04\x00\x00\x7f",
    b"\x00\x00\x00\x80\xfeSMB" + bytes(120),
    b"\x43\x87\x00\x00" + bytes(44) + b"InitiatorName=iqn.a\0TargetName=iqn.b\0",
    b"\x01\x07\x02\x03" + bytes(12) + b"\x00\x10" + bytes(238),
    bytes.fromhex("02070400112233445504050553777031060200 78"),
    b"SSH-2.0-OpenSSH_9\r\n",
]


@pytest.mark.parametrize("application", sorted(EXTRACTORS))
def test_damaged_bytes_raise_nothing(application: str) -> None:
    source = random.Random(application)
    for seed in SEEDS:
        for _ in range(60):
            data = bytearray(seed[: source.randrange(len(seed) + 1)])
            for _ in range(source.randrange(6)):
                if data:
                    data[source.randrange(len(data))] = source.randrange(256)
            sent = head(bytes(data)) if data else head()
            for value in extract_detail(application, sent, head(seed)).values():
                text = "".join(value) if isinstance(value, list) else str(value)
                assert text.isprintable()
                assert len(text) < 2_000
            parse_neighbour(bytes(data))
            parse_connection_request(bytes(data))
            read_answers(bytes(data))


def test_heads_of_real_captures_raise_nothing(
    captures: Path, catalogue: CompiledSignatures
) -> None:
    source = random.Random(5)
    files = sorted((captures / "ndpi" / "pcap").iterdir())
    engine = DpiAnalyzer(catalogue, flow_capacity=256, heads=64)
    for path in files[::5]:
        data = path.read_bytes()[:200_000]
        for slot in range(20):
            at = source.randrange(max(1, len(data) - 400))
            run(engine, [Sent(data[at : at + 400], slot=slot, ports=(9, source.choice((53, 443))))])
        engine.flow_closed(np.arange(20))
