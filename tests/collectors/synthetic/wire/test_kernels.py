"""The frame kernels against zlib, scapy and the ICRC of real captures."""

import zlib
from pathlib import Path

import numpy as np
import pytest

from fabricscope.collectors.synthetic.wire import kernels
from fabricscope.collectors.synthetic.writer import crc_table, payload_pattern
from reference import synthetic as slow

RANDOM = np.random.default_rng(7)


@pytest.mark.parametrize("size", [0, 1, 3, 4, 63, 64, 255, 1024, 4096])
def test_crc_of_header_and_pattern_can_be_combined(size: int) -> None:
    header = RANDOM.integers(0, 256, 57, dtype=np.uint8)
    payload = payload_pattern()[:size]
    table = crc_table()
    shifts = np.zeros((4, 256), np.uint32)
    kernels.shift_table(size, table, shifts)
    head = kernels.crc_bytes(0xFFFFFFFF, header, 0, len(header), table)
    tail = kernels.crc_bytes(0, payload, 0, size, table)
    combined = (~(kernels.shift_state(head, shifts) ^ tail)) & 0xFFFFFFFF
    assert combined == zlib.crc32(header.tobytes() + payload.tobytes())


def test_ipv4_checksum_fits() -> None:
    for _ in range(200):
        header = RANDOM.integers(0, 256, 20, dtype=np.uint8)
        value = kernels.ipv4_checksum(header, 0)
        header[10], header[11] = value >> 8, value & 255
        assert slow.checksum_fits(header.tobytes())


@pytest.mark.parametrize(
    "name",
    ["pingpong_rc", "pingpong_uc", "pingpong_ud", "rdma_atomic_bw", "rdma_cm", "rdma_read_bw",
     "rdma_send_bw", "rdma_write_bw", "rping"],
)  # fmt: skip
def test_icrc_of_real_captures(captures: Path, name: str) -> None:
    checked = check_icrc(captures / "rdma" / f"linlinw5_{name}.pcap")
    assert checked > 0


def test_icrc_of_roce_v1_and_cnp(captures: Path) -> None:
    assert check_icrc(captures / "rdma" / "scapy_roce_uts_hexdumps.pcap") == 3


def check_icrc(path: Path) -> int:
    """Recompute the ICRC of every RoCE packet with the kernel; return how many there were."""
    raw = path.read_bytes()
    table, masked = crc_table(), np.zeros(8192, np.uint8)
    position, checked = 24, 0
    while position < len(raw):
        captured = int.from_bytes(raw[position + 8 : position + 12], "little")
        frame = np.frombuffer(raw, np.uint8, captured, position + 16)
        position += 16 + captured
        ethertype = frame[12:14].tobytes()
        if ethertype == b"\x08\x00" and frame[23] == 17 and frame[36:38].tobytes() == b"\x12\xb7":
            version, end = 4, 14 + int.from_bytes(frame[16:18].tobytes(), "big") - 4
        elif ethertype == b"\x89\x15":
            version, end = 1, 54 + int.from_bytes(frame[18:20].tobytes(), "big") - 4
        else:
            continue
        state = kernels.icrc_state(frame, 14, version, end, masked, table)
        assert (~state) & 0xFFFFFFFF == int.from_bytes(frame[end : end + 4].tobytes(), "little")
        checked += 1
    return checked
