"""Management datagrams: the header of any, and the connection messages among them.

What the messages of a connection amount to is in `connection_manager`. Sources: InfiniBand
Architecture Specification volume 1, chapters 12 (messages), 13 (MAD header) and annex A11 (RDMA
IP CM service).
"""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

MAD_BYTES: Final = 256
HEADER_BYTES: Final = 24
COMMUNICATION_MANAGEMENT: Final = 0x07

ATTRIBUTES: Final = {
    0x10: "REQ",
    0x11: "MRA",
    0x12: "REJ",
    0x13: "REP",
    0x14: "RTU",
    0x15: "DREQ",
    0x16: "DREP",
    0x17: "SIDR_REQ",
    0x18: "SIDR_REP",
    0x19: "LAP",
    0x1A: "APR",
}
PRIVATE_DATA_AT: Final = {
    "REQ": 140,
    "MRA": 10,
    "REJ": 84,
    "REP": 36,
    "RTU": 8,
    "DREQ": 12,
    "DREP": 8,
    "SIDR_REQ": 16,
    "SIDR_REP": 96,
    "LAP": 64,
    "APR": 84,
}
"""Offset of the private data in the MAD's data; it runs to the end of the MAD."""

REJECT_REASONS: Final = {
    1: "no queue pair available",
    2: "no end-to-end context available",
    3: "no resources available",
    4: "timeout",
    5: "unsupported request",
    6: "invalid communication id",
    7: "invalid communication instance",
    8: "invalid service id",
    9: "invalid transport service type",
    10: "stale connection",
    11: "RDC does not exist",
    12: "primary remote GID rejected",
    13: "primary remote LID rejected",
    14: "invalid primary service level",
    15: "invalid primary traffic class",
    16: "invalid primary hop limit",
    17: "invalid primary packet rate",
    18: "alternate remote GID rejected",
    19: "alternate remote LID rejected",
    20: "invalid alternate service level",
    21: "invalid alternate traffic class",
    22: "invalid alternate hop limit",
    23: "invalid alternate packet rate",
    24: "port and connection manager redirection",
    25: "port redirection",
    26: "invalid path MTU",
    27: "insufficient responder resources",
    28: "consumer reject",
    29: "RNR retry count reject",
    30: "duplicate local communication id",
    31: "invalid class version",
    32: "invalid flow label",
    33: "invalid alternate flow label",
}
SIDR_STATUS: Final = {
    0: "valid",
    1: "service id not supported",
    2: "rejected by the service",
    3: "no queue pair available",
    4: "redirected",
    5: "version not supported",
}
ANSWERED_MESSAGES: Final = ("REQ", "REP", "LAP", "other")  # what an MRA or REJ speaks of
TRANSPORTS: Final = ("RC", "UC", "RD")


@dataclass(frozen=True, slots=True)
class CmMessage:
    """A connection message; a field that the message lacks or the capture cut is None."""

    kind: str  # a value of ATTRIBUTES
    local_comm_id: int | None = None  # the sender's; the request id of SIDR
    remote_comm_id: int | None = None  # the receiver's
    service_id: int | None = None
    qpn: int | None = None  # the sender's queue pair; DREQ and LAP: the receiver's
    starting_psn: int | None = None
    responder_resources: int | None = None
    initiator_depth: int | None = None
    retry_count: int | None = None
    rnr_retry_count: int | None = None
    local_ack_timeout: int | None = None  # code n of 4.096 us * 2^n
    path_mtu_bytes: int | None = None
    local_lid: int | None = None
    remote_lid: int | None = None
    local_gid: str | None = None  # IPv4 where RoCE maps one
    remote_gid: str | None = None
    transport: str | None = None  # RC, UC, RD or XRC
    answers: str | None = None  # REJ and MRA: which message
    reason_code: int | None = None
    reason: str | None = None
    src_ip: str | None = None  # from the private data of the RDMA IP CM service
    src_port: int | None = None
    dst_ip: str | None = None
    dst_port: int | None = None
    private_data: bytes = b""  # as captured, without the header of the RDMA IP CM service


@dataclass(frozen=True, slots=True)
class MadMessage:
    """A management datagram's header, and its connection message if it holds one."""

    class_name: str
    management_class: int
    class_version: int
    method: int
    status: int
    transaction_id: int
    attribute_id: int
    truncated: bool  # fewer than 256 bytes are there
    cm: CmMessage | None


def class_name(number: int) -> str | None:
    """Return the name of a management class, None for a reserved one."""
    named = {
        0x01: "subnet management",
        0x81: "subnet management, directed route",
        0x03: "subnet administration",
        0x04: "performance management",
        0x05: "baseboard management",
        0x06: "device management",
        0x07: "communication management",
        0x08: "SNMP tunneling",
        0x21: "device administration",
        0x22: "boot management",
        0x23: "BIS",
        0x24: "congestion control",
    }
    if 0x09 <= number <= 0x0F or 0x30 <= number <= 0x4F:
        return "vendor"
    if 0x10 <= number <= 0x1F:
        return "application"
    return named.get(number)


def parse_mad(payload: bytes) -> MadMessage | None:
    """Read a management datagram: the payload after the DETH, possibly cut by the snap length.

    None if there is no whole MAD header, or its base version or class is not one of InfiniBand's.
    """
    if len(payload) < HEADER_BYTES or payload[0] != 1:
        return None
    name = class_name(payload[1])
    if name is None:
        return None
    attribute = int.from_bytes(payload[16:18], "big")
    cm = None
    is_send = payload[1] == COMMUNICATION_MANAGEMENT and payload[2] == 2 and payload[3] == 3
    if is_send and attribute in ATTRIBUTES:
        cm = parse_cm(ATTRIBUTES[attribute], payload[HEADER_BYTES:MAD_BYTES])
    return MadMessage(
        class_name=name,
        management_class=payload[1],
        class_version=payload[2],
        method=payload[3],
        status=int.from_bytes(payload[4:6], "big"),
        transaction_id=int.from_bytes(payload[8:16], "big"),
        attribute_id=attribute,
        truncated=len(payload) < MAD_BYTES,
        cm=cm,
    )


class _Data:
    """Big-endian fields of a MAD's data, None where the capture ended before them."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def number(self, start: int, count: int) -> int | None:
        """Return `count` bytes as a number."""
        if start + count > len(self.data):
            return None
        return int.from_bytes(self.data[start : start + count], "big")

    def bits(self, start: int, shift: int, width: int) -> int | None:
        """Return `width` bits of one byte, above the lowest `shift`."""
        byte = self.number(start, 1)
        return None if byte is None else byte >> shift & (1 << width) - 1

    def address(self, start: int) -> str | None:
        """Return a GID or IP address as canonical text."""
        value = self.number(start, 16)
        if value is None:
            return None
        address = IPv6Address(value)
        return str(address.ipv4_mapped or address)


def parse_cm(kind: str, data: bytes) -> CmMessage:
    """Read the 232 bytes of connection message data, or those of them that are there."""
    fields = _Data(data)
    readers = {
        "REQ": _request,
        "REP": _reply,
        "REJ": _reject,
        "MRA": _receipt,
        "SIDR_REQ": _sidr_request,
        "SIDR_REP": _sidr_reply,
    }
    values: dict[str, object] = {"local_comm_id": fields.number(0, 4)}
    if not kind.startswith("SIDR") and kind != "REQ":
        values["remote_comm_id"] = fields.number(4, 4)
    if kind == "DREQ":
        values["qpn"] = fields.number(8, 3)
    if kind == "LAP":
        values["qpn"] = fields.number(12, 3)
    private = data[PRIVATE_DATA_AT[kind] :]
    if kind in readers:
        values.update(readers[kind](fields))
    if kind in ("REQ", "SIDR_REQ"):
        header = ip_service(values.get("service_id"), private)
        if header:
            values.update(header)
            private = private[36:]
    return CmMessage(kind=kind, private_data=private, **values)  # type: ignore[arg-type]


def _request(data: _Data) -> dict[str, object]:
    mtu = data.bits(50, 4, 4)
    service = data.bits(43, 1, 2)
    extended = data.bits(51, 0, 3)
    transport = None
    if service is not None:
        transport = TRANSPORTS[service] if service < 3 else None
        if service == 3 and extended == 1:
            transport = "XRC"
    return {
        "service_id": data.number(8, 8),
        "qpn": data.number(32, 3),
        "responder_resources": data.number(35, 1),
        "initiator_depth": data.number(39, 1),
        "transport": transport,
        "starting_psn": data.number(44, 3),
        "retry_count": data.bits(47, 0, 3),
        "path_mtu_bytes": 128 << mtu if mtu is not None and 1 <= mtu <= 5 else None,
        "rnr_retry_count": data.bits(50, 0, 3),
        "local_lid": data.number(52, 2),
        "remote_lid": data.number(54, 2),
        "local_gid": data.address(56),
        "remote_gid": data.address(72),
        "local_ack_timeout": data.bits(95, 3, 5),
    }


def _reply(data: _Data) -> dict[str, object]:
    return {
        "qpn": data.number(12, 3),
        "starting_psn": data.number(20, 3),
        "responder_resources": data.number(24, 1),
        "initiator_depth": data.number(25, 1),
        "rnr_retry_count": data.bits(27, 5, 3),
    }


def _answers(data: _Data) -> str | None:
    message = data.bits(8, 6, 2)
    return None if message is None else ANSWERED_MESSAGES[message]


def _receipt(data: _Data) -> dict[str, object]:
    return {"answers": _answers(data)}


def _reject(data: _Data) -> dict[str, object]:
    code = data.number(10, 2)
    reason = None if code is None else REJECT_REASONS.get(code, f"reason {code}")
    return {"answers": _answers(data), "reason_code": code, "reason": reason}


def _sidr_request(data: _Data) -> dict[str, object]:
    return {"service_id": data.number(8, 8), "transport": "UD"}


def _sidr_reply(data: _Data) -> dict[str, object]:
    code = data.number(4, 1)
    reason = None if code is None else SIDR_STATUS.get(code, f"status {code}")
    return {
        "qpn": data.number(8, 3),
        "service_id": data.number(12, 8),
        "transport": "UD",
        "reason_code": code,
        "reason": reason,
    }


def ip_service(service_id: object, private: bytes) -> dict[str, object]:
    """Return addresses and ports that the RDMA IP CM service puts in a request, {} if it is not it.

    The destination port is the low half of the service id.
    """
    if not isinstance(service_id, int) or service_id >> 24 != 1 or len(private) < 36:
        return {}
    version = private[1] >> 4
    if private[0] >> 4 != 0 or version not in (4, 6):
        return {}
    size = 4 if version == 4 else 16
    return {
        "src_port": int.from_bytes(private[2:4], "big"),
        "dst_port": service_id & 0xFFFF,
        "src_ip": str(ip_address(private[20 - size : 20])),
        "dst_ip": str(ip_address(private[36 - size : 36])),
    }
