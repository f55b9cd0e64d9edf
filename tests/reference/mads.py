"""Makes connection messages byte by byte, from the tables of the InfiniBand specification."""

import ipaddress
import struct


def mad(
    attribute: int,
    data: bytes,
    management_class: int = 7,
    class_version: int = 2,
    method: int = 3,
    transaction: int = 0x1234,
) -> bytes:
    header = struct.pack(
        ">BBBBHHQHHI",
        1,
        management_class,
        class_version,
        method,
        0,
        0,
        transaction,
        attribute,
        0,
        0,
    )
    return (header + data).ljust(256, b"\0")


def gid(address: str) -> bytes:
    parsed = ipaddress.ip_address(address)
    if parsed.version == 4:
        return bytes(10) + b"\xff\xff" + parsed.packed
    return parsed.packed


def request(
    comm_id: int, qpn: int, port: int = 18515, transaction: int = 0x1234, service: int = 0
) -> bytes:
    data = bytearray(232)
    data[0:4] = comm_id.to_bytes(4, "big")
    data[8:16] = bytes([0, 0, 0, 0, 1, 6]) + port.to_bytes(2, "big")
    data[32:35] = qpn.to_bytes(3, "big")
    data[35], data[39] = 16, 8
    data[43] = 20 << 3 | service << 1
    data[44:47] = (0xABCDEF).to_bytes(3, "big")
    data[47] = 20 << 3 | 7
    data[48:50] = b"\xff\xff"
    data[50] = 5 << 4 | 6
    data[51] = 15 << 4 | (1 if service == 3 else 0)
    data[52:56] = struct.pack(">HH", 11, 12)
    data[56:72], data[72:88] = gid("10.0.0.1"), gid("fe80::2")
    data[95] = 19 << 3
    data[140:144] = struct.pack(">BBH", 0, 0x40, 50000)
    data[144:160] = bytes(12) + bytes([10, 0, 0, 1])
    data[160:176] = bytes(12) + bytes([10, 0, 0, 2])
    data[176:179] = b"abc"
    return mad(0x10, bytes(data), transaction=transaction)


def reply(comm_id: int, remote: int, qpn: int) -> bytes:
    data = struct.pack(">IIII", comm_id, remote, 0, qpn << 8) + bytes(4)
    data += struct.pack(">IBBBB", 0x654321 << 8, 4, 5, 0, 3 << 5)
    return mad(0x13, data)


def simple(attribute: int, comm_id: int, remote: int, rest: bytes = b"") -> bytes:
    return mad(attribute, struct.pack(">II", comm_id, remote) + rest)


def reject(comm_id: int, remote: int, reason: int, answers: int = 0) -> bytes:
    return simple(0x12, comm_id, remote, struct.pack(">BBH", answers << 6, 0, reason))


def sidr_reply(request_id: int, status: int, qpn: int) -> bytes:
    return mad(0x18, struct.pack(">IBBHIQ", request_id, status, 0, 0, qpn << 8, 0x01060001))
