"""Connection messages against the specification's layout, tshark, truncation and mutation."""

import random
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from fabricscope.analyzers.mad import ATTRIBUTES, CmMessage, MadMessage, parse_mad
from reference import mads


def message(payload: bytes) -> CmMessage:
    mad = parse_mad(payload)
    assert mad is not None
    assert mad.cm is not None
    return mad.cm


def test_request() -> None:
    cm = message(mads.request(0xDEADBEEF, 0x123456))
    assert cm == CmMessage(
        kind="REQ",
        local_comm_id=0xDEADBEEF,
        service_id=0x0000000001060000 | 18515,
        qpn=0x123456,
        starting_psn=0xABCDEF,
        responder_resources=16,
        initiator_depth=8,
        retry_count=7,
        rnr_retry_count=6,
        local_ack_timeout=19,
        path_mtu_bytes=4096,
        local_lid=11,
        remote_lid=12,
        local_gid="10.0.0.1",
        remote_gid="fe80::2",
        transport="RC",
        src_ip="10.0.0.1",
        src_port=50000,
        dst_ip="10.0.0.2",
        dst_port=18515,
        private_data=b"abc" + bytes(53),
    )


@pytest.mark.parametrize(("service", "name"), [(0, "RC"), (1, "UC"), (2, "RD"), (3, "XRC")])
def test_transport(service: int, name: str) -> None:
    assert message(mads.request(1, 2, service=service)).transport == name


def test_answers() -> None:
    cm = message(mads.reply(7, 8, 0x99))
    assert (cm.local_comm_id, cm.remote_comm_id, cm.qpn) == (7, 8, 0x99)
    assert (cm.starting_psn, cm.responder_resources, cm.initiator_depth) == (0x654321, 4, 5)
    assert cm.rnr_retry_count == 3
    cm = message(mads.reject(0, 8, 28, answers=1))
    assert (cm.remote_comm_id, cm.answers, cm.reason_code) == (8, "REP", 28)
    assert cm.reason == "consumer reject"
    assert message(mads.reject(0, 8, 999)).reason == "reason 999"
    assert message(mads.simple(0x11, 1, 2, b"\x80")).answers == "LAP"
    assert message(mads.simple(0x15, 1, 2, b"\0\0\x44\0")).qpn == 0x44
    cm = message(mads.sidr_reply(5, 1, 0x77))
    assert (cm.local_comm_id, cm.qpn, cm.transport) == (5, 0x77, "UD")
    assert cm.reason == "service id not supported"


def test_other_classes_are_named_only() -> None:
    for number, name in ((1, "subnet management"), (3, "subnet administration"), (9, "vendor")):
        mad = parse_mad(mads.mad(0x10, b"", management_class=number))
        assert mad is not None
        assert (mad.class_name, mad.cm) == (name, None)
    assert parse_mad(mads.mad(0x10, b"", management_class=0x60)) is None
    assert parse_mad(b"\x02" + bytes(255)) is None
    other = parse_mad(mads.mad(1, b"", method=1))
    assert other is not None
    assert other.cm is None


def all_kinds() -> list[bytes]:
    return [
        mads.request(1, 2),
        mads.reply(1, 2, 3),
        mads.reject(1, 2, 3),
        mads.sidr_reply(1, 0, 3),
        *(
            mads.simple(attribute, 0xFFFFFFFF, 0xFFFFFFFF, b"\xff" * 224)
            for attribute in ATTRIBUTES
        ),
    ]


def test_truncation_only_removes_fields() -> None:
    for payload in all_kinds():
        whole = asdict(message(payload))
        for size in range(len(payload)):
            mad = parse_mad(payload[:size])
            if size < 24:
                assert mad is None
                continue
            assert mad is not None
            assert mad.cm is not None
            assert mad.truncated
            for name, value in asdict(mad.cm).items():
                if name == "private_data":
                    continue
                assert value is None or value == whole[name], (name, size)


def test_mutations_give_a_message_or_none() -> None:
    rng = random.Random(5)
    kinds = all_kinds()
    for _ in range(3000):
        data = bytearray(rng.choice(kinds))
        for _ in range(rng.randrange(1, 8)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        mad = parse_mad(bytes(data[: rng.randrange(300)]))
        assert mad is None or isinstance(mad, MadMessage)
        if mad is not None and mad.cm is not None:
            assert len(mad.cm.private_data) <= 224


FIELDS = {
    "REQ": {
        "local_comm_id": "infiniband.cm.req",
        "qpn": "infiniband.cm.req.localqpn",
        "responder_resources": "infiniband.cm.req.responderres",
        "initiator_depth": "infiniband.cm.req.initdepth",
        "starting_psn": "infiniband.cm.req.startpsn",
        "retry_count": "infiniband.cm.req.retrcount",
        "rnr_retry_count": "infiniband.cm.req.rnrretrcount",
        "local_ack_timeout": "infiniband.cm.req.prim_localacktout",
        "local_lid": "infiniband.cm.req.prim_locallid",
        "remote_lid": "infiniband.cm.req.prim_remotelid",
        "src_port": "infiniband.cm.req.ip_cm.sport",
        "dst_port": "infiniband.cm.req.serviceid.dport",
        "src_ip": "infiniband.cm.req.ip_cm.sip4",
        "dst_ip": "infiniband.cm.req.ip_cm.dip4",
        "local_gid": "infiniband.cm.req.prim_localgid_ipv4",
        "remote_gid": "infiniband.cm.req.prim_remotegid_ipv4",
    },
    "REP": {
        "local_comm_id": "infiniband.cm.rep",
        "remote_comm_id": "infiniband.cm.rep.remotecommid",
        "qpn": "infiniband.cm.rep.localqpn",
        "starting_psn": "infiniband.cm.rep.startpsn",
        "responder_resources": "infiniband.cm.rep.respres",
        "initiator_depth": "infiniband.cm.rep.initdepth",
        "rnr_retry_count": "infiniband.cm.rep.rnrretrcount",
    },
    "RTU": {
        "local_comm_id": "infiniband.cm.rtu.localcommid",
        "remote_comm_id": "infiniband.cm.rtu.remotecommid",
    },
    "DREQ": {
        "local_comm_id": "infiniband.cm.dreq.localcommid",
        "remote_comm_id": "infiniband.cm.dreq.remotecommid",
        "qpn": "infiniband.cm.req.remoteqpneecn",
    },
    "DREP": {
        "local_comm_id": "infiniband.cm.drsp.localcommid",
        "remote_comm_id": "infiniband.cm.drsp.remotecommid",
    },
}
CAPTURES = (
    ("linlinw5_rdma_cm.pcap", 12),
    ("linlinw5_rping.pcap", 5),
    ("infiniband.pcap", 17),
    ("softroce/FirstSuccesfullRping.pcapng", 5),
    ("softroce/RoCE_capture_10_packets.pcapng", 5),
    ("softroce/capture_S10000_C1.pcapng", 5),
)


@pytest.mark.parametrize(("name", "count"), CAPTURES)
def test_as_tshark_reads_it(captures: Path, tshark: str, name: str, count: int) -> None:
    names = ["infiniband.mad", "infiniband.mad.data", "infiniband.mad.attributeid"]
    wanted = [(kind, mine, theirs) for kind in FIELDS for mine, theirs in FIELDS[kind].items()]
    arguments = [tshark, "-r", str(captures / "rdma" / name), "-Y", "infiniband.mad"]
    arguments += ["-T", "fields"]
    for field in names + [theirs for _, _, theirs in wanted]:
        arguments += ["-e", field]
    text = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    compared = 0
    for line in text.splitlines():
        header, data, attribute, *cells = line.split("\t")
        mad = parse_mad(bytes.fromhex(header) + bytes.fromhex(data))
        assert mad is not None
        assert mad.attribute_id == int(attribute, 0)
        compared += 1
        if mad.cm is None:
            assert mad.management_class != 7
            continue
        for (kind, mine, _), cell in zip(wanted, cells, strict=True):
            if kind == mad.cm.kind and cell:
                value = getattr(mad.cm, mine)
                assert value == (cell if "." in cell else int(cell, 0)), (line, mine)
    assert compared == count
