"""Storage: NVMe/TCP, iSCSI and SMB, who connects to what."""

import re
from typing import Final

from fabricscope.analyzers.dpi.extractors.text import Detail, Head, little, piece, printable

_DIALECTS: Final = {0x0202: "2.0.2", 0x0210: "2.1", 0x02FF: "2.x", 0x0300: "3.0",
                    0x0302: "3.0.2", 0x0311: "3.1.1"}  # fmt: skip
_NAMES: Final = re.compile(rb"(InitiatorName|TargetName|SessionType)=([^\0]{1,223})")
_KEYS: Final = {b"InitiatorName": "initiator", b"TargetName": "target",
                b"SessionType": "session"}  # fmt: skip


def extract_nvme_tcp(request: Head, reply: Head) -> Detail:
    """Return digests of the connection and the names in a Connect command."""
    detail: Detail = {}
    for data in (request.first, reply.first):
        at = 0
        while at + 8 <= len(data):
            kind, size = data[at], little(data, at + 4, 4)
            if kind in (0, 1) and at + 12 <= len(data):
                detail["header_digest"] = data[at + 11] & 1
                detail["data_digest"] = data[at + 11] >> 1 & 1
            elif kind == 4 and data[at + 8 : at + 9] == b"\x7f" and data[at + 12] == 1:
                _read_connect(detail, data, at)
            if size < 8:
                break
            at += size
    return detail


def _read_connect(detail: Detail, data: bytes, at: int) -> None:
    """Read a fabrics Connect: the queue id in the command, names in the 1,024 bytes of data."""
    detail["queue"] = little(data, at + 8 + 42, 2)
    names = at + 72
    for key, offset in (("subnqn", 256), ("hostnqn", 512)):
        name = data[names + offset : names + offset + 256].split(b"\0")[0]
        if name:
            detail[key] = printable(name, 223)


def extract_iscsi(request: Head, reply: Head) -> Detail:
    """Return the names that a Login request gives."""
    detail: Detail = {}
    for data in (request.first, reply.first):
        for match in _NAMES.finditer(data):
            detail.setdefault(_KEYS[match[1]], printable(match[2], 223))
    return detail


def extract_smb(request: Head, reply: Head) -> Detail:
    """Return the dialect: the negotiated one, or the highest that was offered."""
    for data, is_reply in ((reply.first, True), (request.first, False)):
        magic = data[4:8]
        if magic == b"\xffSMB":
            return {"dialect": "1.0"}
        if magic == b"\xfdSMB":
            return {"dialect": "3", "encrypted": 1}
        if magic == b"\xfeSMB" and little(data, 16, 2) == 0:
            if is_reply:
                dialect = little(data, 4 + 64 + 4, 2)
            else:
                count = little(data, 4 + 64 + 2, 2)
                offered = piece(data, 4 + 64 + 36, min(count, 16) * 2)
                dialect = max(little(offered, at, 2) for at in range(0, len(offered), 2))
            return {"dialect": _DIALECTS.get(dialect, f"0x{dialect:04x}")}
    return {}
