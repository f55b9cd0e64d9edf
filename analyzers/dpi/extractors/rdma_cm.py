"""Connection management of InfiniBand and RoCE: which service a queue pair is opened for.

Layout of the CM messages: InfiniBand architecture specification, volume 1, chapter 12; service
ids of the RDMA IP CM service: annex A11.
"""

from typing import Final

from fabricscope.analyzers.dpi.extractors.text import Detail, printable, unsigned

_CM_CLASS: Final = 0x07
_REQUEST: Final = 0x0010
_REJECT: Final = 0x0012
_REPLY: Final = 0x0013
_READY: Final = 0x0014
_DISCONNECT: Final = 0x0015
_NAMES: Final = {
    _REQUEST: "request", _REJECT: "reject", _REPLY: "reply", _READY: "ready_to_use",
    _DISCONNECT: "disconnect", 0x0016: "disconnect_reply", 0x0011: "message_receipt",
    0x0017: "service_id_request", 0x0018: "service_id_reply",
}  # fmt: skip
_SERVICES: Final = {4420: "nvme_rdma", 20049: "nfs_rdma", 3260: "iser", 445: "smb_direct",
                    5445: "smb_direct", 988: "lustre_lnet"}  # fmt: skip
_MAD_HEADER: Final = 24


def parse_connection_request(payload: bytes) -> Detail:
    """Return what a CM message says: kind, queue pair, service and port; empty if it is none."""
    try:
        return _parse(payload)
    except ValueError:
        return {}


def _parse(payload: bytes) -> Detail:
    if unsigned(payload, 0, 2) != 0x0100 | _CM_CLASS:
        return {}
    attribute = unsigned(payload, 16, 2)
    if attribute not in _NAMES:
        return {}
    detail: Detail = {
        "cm": _NAMES[attribute],
        "local_comm_id": unsigned(payload, _MAD_HEADER, 4),
    }
    if attribute == _REQUEST:
        service_id = unsigned(payload, _MAD_HEADER + 8, 8)
        detail["service_id"] = f"0x{service_id:016x}"
        detail["local_qp"] = unsigned(payload, _MAD_HEADER + 32, 3)
        # 0x0000000001 then the IP protocol (TCP port space) then the port.
        if service_id >> 16 == 0x0106:
            port = service_id & 0xFFFF
            detail["service_port"] = port
            if port in _SERVICES:
                detail["service"] = _SERVICES[port]
        private = payload[_MAD_HEADER + 140 : _MAD_HEADER + 232].rstrip(b"\0")
        if private:
            detail["private_data"] = printable(private.hex().encode(), 184)
    elif attribute == _REPLY:
        detail["remote_comm_id"] = unsigned(payload, _MAD_HEADER + 4, 4)
        detail["local_qp"] = unsigned(payload, _MAD_HEADER + 12, 3)
    elif attribute == _REJECT:
        detail["reason"] = unsigned(payload, _MAD_HEADER + 10, 2)
    return detail
