"""Signatures and tap indexes against plain Python."""

import numpy as np
import pytest

from fabricscope.analyzers.taps.identity.kernels import packet_signatures, resolve_taps
from fabricscope.analyzers.taps.layout import (
    KIND_PAYLOAD_CUT,
    KIND_RELIABLE,
    KIND_UNSURE,
)
from fabricscope.records import (
    FLAG_FRAGMENT,
    FLAG_HEADER_CUT,
    MAC_ADDRESS_HI,
    PROTOCOLS,
    TUNNELS,
    Packets,
)
from reference import taps as twin
from reference.taps_traffic import frozen, rows

COLUMNS = (
    "protocol", "ip_protocol", "ethertype", "flags", "src_hi", "src_lo", "dst_hi", "dst_lo",
    "src_port", "dst_port", "ip_id", "payload_length", "payload_offset", "packet_offset",
    "captured_length", "opcode", "dest_qp", "psn", "aeth", "rdma_flags", "tcp_seq", "tcp_ack",
    "tcp_flags",
)  # fmt: skip


def sign(view: np.ndarray, packets: Packets, payload_bytes: int = 16) -> tuple[np.ndarray, ...]:
    count = packets.time_ns.size
    columns = (
        np.empty(count, np.uint64),
        np.empty(count, np.uint32),
        np.empty(count, np.uint8),
        np.empty(count, np.uint64),
    )
    with np.errstate(over="ignore"):  # hashes wrap, which NumPy reports where not compiled
        packet_signatures(view, packets, payload_bytes, *columns)
    return columns


@pytest.mark.parametrize("payload_bytes", [0, 16])
def test_equal_for_equal_packets_only(payload_bytes: int) -> None:
    rng = np.random.default_rng(7)
    count = 1_500
    data = rng.integers(0, 2, 256).astype(np.uint8)
    view = frozen(data)
    packets = rows(
        count,
        protocol=rng.integers(0, len(PROTOCOLS), count),
        ip_protocol=rng.choice([0, 6, 17], count),
        ethertype=rng.choice([0x0800, 0x86DD], count),
        flags=rng.choice([0, 4, 32], count),
        src_lo=rng.integers(0, 2, count),
        dst_lo=rng.integers(0, 2, count),
        src_port=rng.integers(0, 2, count),
        dst_port=rng.integers(0, 2, count),
        ip_id=rng.integers(0, 2, count),
        payload_length=rng.choice([0, 1, 5, 16, 40], count),
        payload_offset=rng.choice([-1, 0, 200, 235, 250, 1 << 40], count),
        captured_length=rng.choice([240, 256, 400], count),
        opcode=rng.choice([4, 7, 17, 18, 0x24, 0x81, 0xA4], count),
        dest_qp=rng.integers(0, 2, count),
        psn=rng.integers(0, 2, count),
        aeth=rng.integers(0, 2, count),
        rdma_flags=rng.choice([0, 1, 4], count),
        tcp_seq=rng.integers(0, 2, count),
        tcp_ack=rng.integers(0, 2, count),
        tcp_flags=rng.choice([0x10, 0x12, 0x11], count),
    )
    keys, variants, kinds, flows = sign(view, packets, payload_bytes)
    names: dict[object, int] = {}
    pairs: dict[object, tuple[int, int]] = {}
    for row in range(count):
        packet = {name: int(getattr(packets, name)[row]) for name in COLUMNS}
        expected = twin.identify(packet, view.tobytes(), payload_bytes)
        if expected is None:
            assert keys[row] == 0
            continue
        key, variant, reliable = expected
        assert keys[row] != 0
        assert bool(kinds[row] & KIND_RELIABLE) == reliable
        assert bool(kinds[row] & KIND_UNSURE) == bool(packet["flags"] & 32)
        assert names.setdefault(key, int(keys[row])) == keys[row]
        pair = (int(keys[row]), int(variants[row]))
        assert pairs.setdefault((key, variant), pair) == pair
    assert len(names) > 100
    assert len(set(names.values())) == len(names)
    assert len(set(pairs.values())) == len(pairs)
    assert (flows != 0).all()


@pytest.mark.parametrize("column", ["ttl", "dscp", "ecn", "vlan", "tunnel_kinds", "frame", "tap"])
def test_what_changes_on_the_way_is_left_out(column: str) -> None:
    packets = rows(2, psn=5, ip_id=9)
    getattr(packets, column)[:] = [1, 2]
    keys, variants, _, flows = sign(frozen(bytes(64)), packets)
    assert keys[0] == keys[1]
    assert variants[0] == variants[1]
    assert flows[0] == flows[1]


def test_retransmission_shares_the_key_only() -> None:
    keys, variants, _, _ = sign(frozen(bytes(64)), rows(2, psn=5, ip_id=[1, 2]))
    assert keys[0] == keys[1]
    assert variants[0] != variants[1]


def test_snap_length_does_not_change_rdma() -> None:
    packets = rows(2, psn=5, ip_id=9, captured_length=[64, 54])
    keys, variants, kinds, _ = sign(frozen(bytes(64)), packets)
    assert keys[0] == keys[1]
    assert variants[0] == variants[1]
    assert not (kinds & KIND_PAYLOAD_CUT).any()


def test_udp_without_its_payload_says_so() -> None:
    packets = rows(
        3, protocol=PROTOCOLS.index("udp"), psn=0, ip_id=0, opcode=0, captured_length=[70, 69, 80]
    )
    packets.payload_offset[2] = 200  # beyond the view
    _, _, kinds, _ = sign(frozen(bytes(100)), packets)
    assert (kinds & KIND_PAYLOAD_CUT).astype(bool).tolist() == [False, True, True]


def test_fragments_differ_by_their_bytes() -> None:
    view = frozen(bytes(range(128)))
    packets = rows(3, psn=0, ip_id=1, flags=FLAG_FRAGMENT, captured_length=128)
    packets.payload_offset[:] = [20, 60, 60]
    keys, _, _, _ = sign(view, packets)
    assert keys[0] != keys[1]
    assert keys[1] == keys[2]


def test_arp_is_told_apart_by_its_target_whatever_the_padding() -> None:
    body = bytes(24) + b"\x0a\x00\x00\x01"
    other = bytes(24) + b"\x0a\x00\x00\x02"
    view = frozen(body + bytes(18) + other)
    packets = rows(
        3, protocol=PROTOCOLS.index("arp"), ip_protocol=0, ethertype=0x0806,
        src_hi=MAC_ADDRESS_HI, dst_hi=MAC_ADDRESS_HI, psn=0, ip_id=0, src_port=0, dst_port=0,
        payload_length=[46, 28, 28],
    )  # fmt: skip
    packets.captured_length[:] = view.size
    packets.payload_offset[:] = [0, 0, 46]
    keys, _, _, _ = sign(view, packets)
    assert keys[0] == keys[1]
    assert keys[1] != keys[2]


def test_cut_headers_are_unsure() -> None:
    _, _, kinds, _ = sign(frozen(bytes(64)), rows(2, flags=[0, FLAG_HEADER_CUT]))
    assert (kinds & KIND_UNSURE).astype(bool).tolist() == [False, True]


def test_taps_are_sources_and_mirror_sessions() -> None:
    erspan = TUNNELS.index("erspan")
    vxlan = TUNNELS.index("vxlan")
    view = frozen(b"\x45" + bytes(11) + bytes([10, 0, 0, 1]) + bytes(48))
    packets = rows(
        7,
        tap=[0, 0, 0, 1, 0, 0, 0],
        tunnel_kinds=[0, erspan, vxlan, erspan, vxlan | erspan << 8, erspan << 16, erspan],
        tunnel_ids_low=[0, 5, 5, 5, 9 | 5 << 32, 0, 6],
        tunnel_ids_high=[0, 0, 0, 0, 0, 5, 0],
    )
    keys = np.zeros(64, np.uint64)
    found = np.zeros(7, np.uint16)
    known = row = 0
    with np.errstate(over="ignore"):
        while (row := resolve_taps(view, packets, row, keys, known, found)) < 7:
            keys[known] = keys[-1]
            known += 1
        assert found.tolist() == [0, 1, 0, 2, 1, 1, 3]
        packets.outer_ip_offset[6] = 1  # an address of another switch
        packets.packet_offset[6] = 1
        assert resolve_taps(view, packets, 0, keys, known, found) in (6, 7)


def test_mirror_addresses_tell_sessions_apart() -> None:
    erspan = TUNNELS.index("erspan")
    header = b"\x45" + bytes(11)
    view = frozen(b"\x00" + header + bytes([10, 0, 0, 1]) + header + bytes([10, 0, 0, 2]))
    packets = rows(2, tunnel_kinds=erspan, tunnel_ids_low=5, outer_ip_offset=1)
    packets.packet_offset[:] = [0, 16]
    packets.captured_length[:] = 17
    keys = np.zeros(64, np.uint64)
    found = np.zeros(2, np.uint16)
    with np.errstate(over="ignore"):
        assert resolve_taps(view, packets, 0, keys, 0, found) == 0
        keys[0] = keys[-1]
        assert resolve_taps(view, packets, 0, keys, 1, found) == 1
