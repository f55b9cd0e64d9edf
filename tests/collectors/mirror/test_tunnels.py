import random
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from wires import Cable

from fabricscope.collectors.capture import CaptureFile
from fabricscope.collectors.decode import decode
from fabricscope.collectors.mirror.filters import compile_filter
from fabricscope.collectors.mirror.ring import MirrorRing
from fabricscope.collectors.mirror.tunnels import FILTERS, MAX_TAPS, MirrorTunnels
from fabricscope.pipeline.live.feeds import RingFeed
from fabricscope.records import Packets, allocate_packets, slice_packets
from reference import mirrors

ALL = list(FILTERS)


def ethernet(payload: bytes, kind: int = 0x0800) -> bytes:
    return bytes.fromhex("020000000001020000000002") + struct.pack(">H", kind) + payload


def ipv4(payload: bytes, protocol: int, source: int = 0x0A00_0001) -> bytes:
    head = struct.pack(
        ">BBHHHBBHII", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0, source, 0x0A00_0002
    )
    return head + payload


def ipv6(payload: bytes, protocol: int, options: bool = False) -> bytes:
    if options:
        payload, protocol = bytes([protocol, 0, 4, 1, 4, 0, 0, 0]) + payload, 60
    head = struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64)
    return head + bytes(15) + b"\x01" + bytes(15) + b"\x02" + payload


def udp(payload: bytes, destination: int) -> bytes:
    return struct.pack(">HHHH", 50_000, destination, 8 + len(payload), 0) + payload


def inner(number: int = 0, size: int = 60) -> bytes:
    payload = number.to_bytes(4, "big") + bytes(size - 4)
    return ethernet(ipv4(udp(payload, 4791), 17, 0x0B00_0001))


def erspan_1(frame: bytes) -> bytes:
    return struct.pack(">HH", 0, 0x88BE) + frame


def erspan_2(frame: bytes, session: int) -> bytes:
    return struct.pack(">HHIHHI", 0x1000, 0x88BE, 7, 0x1000, session, 3) + frame


def erspan_3(frame: bytes, session: int, *, kind: int = 0, more: bool = False) -> bytes:
    tail = kind << 10 | int(more)
    head = struct.pack(">HHIHHIHH", 0x1000, 0x22EB, 7, 0x2000, session, 99, 0, tail)
    return head + (bytes(8) if more else b"") + frame


def gre(frame: bytes, key: int | None = None, kind: int = 0x6558) -> bytes:
    if key is None:
        return struct.pack(">HH", 0, kind) + frame
    return struct.pack(">HHI", 0x2000, kind, key) + frame


def vxlan(frame: bytes, vni: int) -> bytes:
    return udp(struct.pack(">II", 0x0800_0000, vni << 8) + frame, 4789)


def samples() -> list[bytes]:
    """Return one mirror of each shape."""
    frame = inner()
    return [
        ethernet(ipv4(erspan_1(frame), 47)),
        ethernet(ipv4(erspan_2(frame, 10), 47)),
        ethernet(ipv4(erspan_3(frame, 11), 47)),
        ethernet(ipv4(erspan_3(frame, 11, more=True), 47)),
        ethernet(ipv4(erspan_3(frame[14:], 12, kind=2), 47)),
        ethernet(ipv4(gre(frame), 47)),
        ethernet(ipv4(gre(frame, 77), 47)),
        ethernet(ipv4(gre(frame[14:], 5, 0x0800), 47)),
        ethernet(ipv4(vxlan(frame, 5_000), 17)),
        ethernet(ipv6(erspan_2(frame, 10), 47), 0x86DD),
        ethernet(ipv6(gre(frame, 9), 47, options=True), 0x86DD),
        ethernet(ipv6(vxlan(frame, 6_000), 17), 0x86DD),
        ethernet(bytes.fromhex("00640800") + ipv4(erspan_2(frame, 10), 47), 0x8100),
    ]


def rows_of(frames: list[bytes], cut: int = 0) -> tuple[np.ndarray, Packets]:
    """Return frames as a reader of captures hands them on; `cut`: bytes kept of each."""
    kept = [frame[: cut or None] for frame in frames]
    view = np.frombuffer(b"".join(kept) or b"\0", np.uint8)
    packets = slice_packets(allocate_packets(max(len(frames), 1)), 0, len(frames))
    packets.captured_length[:] = [len(frame) for frame in kept]
    packets.wire_length[:] = [len(frame) for frame in frames]
    packets.packet_offset[:] = np.cumsum([0, *(len(frame) for frame in kept[:-1])])[: len(frames)]
    packets.link_type[:] = 1
    return view, packets


def compare(frames: list[bytes], wanted: list[str], cut: int = 0) -> list[str]:
    """Unwrap by the kernel and by the twin; return the names of the taps."""
    view, packets = rows_of(frames, cut)
    starts = packets.packet_offset.copy()
    tunnels = MirrorTunnels(wanted, ["eth0"])
    tunnels.unwrap(view, packets)
    names = tunnels.names()
    for row, frame in enumerate(frames):
        expected = mirrors.unwrap(frame[: cut or None], len(frame), set(wanted))
        begin = int(packets.packet_offset[row] - starts[row])
        got = begin, int(packets.captured_length[row]), int(packets.wire_length[row])
        if expected is None:
            assert got == (0, len(frame[: cut or None]), len(frame)), frame.hex()
            assert names[packets.tap[row]] == "eth0"
            continue
        assert got == (expected.begin, expected.end - expected.begin, expected.wire_length)
        assert packets.link_type[row] == (101 if expected.raw_ip else 1)
        name = f"{expected.kind} {expected.session}"
        assert names[packets.tap[row]] in (name, f"{name} from {expected.switch}")
    return [names[tap] for tap in packets.tap.tolist()]


def test_each_session_is_a_tap() -> None:
    assert compare(samples(), ALL) == [
        "erspan 0",
        "erspan 10",
        "erspan 11",
        "erspan 11",
        "erspan 12",
        "gre 0",
        "gre 77",
        "gre 5",
        "vxlan 5000",
        "erspan 10 from ::1",
        "gre 9",
        "vxlan 6000",
        "erspan 10",
    ]


def test_what_was_mirrored_is_decoded_as_it_was_on_the_switch() -> None:
    frames = samples()
    view, packets = rows_of(frames)
    MirrorTunnels(ALL, ["eth0"]).unwrap(view, packets)
    decode(view, packets)
    assert packets.dst_port.tolist() == [4791] * len(frames)
    assert not packets.flags.any()
    assert not packets.tunnel_kinds.any()
    ip_bytes = len(inner()) - 14
    expected = [ip_bytes + 14 * (kind == 1) for kind in packets.link_type.tolist()]
    assert packets.wire_length.tolist() == expected


def test_only_what_was_asked_for_is_unwrapped() -> None:
    for kind in ALL:
        names = set(compare(samples(), [kind]))
        assert names - {"eth0"}
        assert {name.split()[0] for name in names} == {"eth0", kind}


@pytest.mark.parametrize("cut", [20, 40, 50, 60, 64, 70, 80, 90])
def test_cut_frames(cut: int) -> None:
    compare(samples(), ALL, cut)


def test_damaged_frames() -> None:
    """Any byte may be anything: kernel and twin agree, and neither reads beyond the frame."""
    draw = random.Random(5)
    frames = []
    for _ in range(3_000):
        frame = bytearray(draw.choice(samples()))
        for _ in range(draw.randrange(4)):
            frame[draw.randrange(12, min(70, len(frame)))] = draw.choice((0, 1, 8, 47, 255))
        end = draw.randrange(len(frame) + 1) if draw.random() < 0.3 else len(frame)
        frames.append(bytes(frame[:end]))
    for start in range(0, len(frames), 40):
        compare(frames[start : start + 40], ALL)


def test_a_length_that_a_switch_cut_off_is_known_from_the_ip_header() -> None:
    mirrored = inner(size=1_000)
    view, packets = rows_of([ethernet(ipv4(erspan_2(mirrored[:100], 3), 47))])
    MirrorTunnels(["erspan"], ["eth0"]).unwrap(view, packets)
    assert packets.wire_length.tolist() == [len(mirrored)]
    assert packets.captured_length.tolist() == [100]


def test_taps_are_bounded() -> None:
    names = compare([ethernet(ipv4(vxlan(inner(), vni), 17)) for vni in range(40)], ALL)
    assert len(set(names)) == 40
    frames = [ethernet(ipv4(vxlan(inner(), vni), 17)) for vni in range(100)]
    view, packets = rows_of(frames)
    tunnels = MirrorTunnels(ALL, ["eth0"])
    tunnels.unwrap(view, packets)
    assert packets.tap.max() == MAX_TAPS - 1
    assert tunnels.names()[-1] == "other mirrors"
    assert len(tunnels.names()) == MAX_TAPS


@pytest.mark.parametrize(
    "name", ["i-1", "i-2", "i-3", "i-4", "ii-1", "ii-2", "ii-3", "iii-ft-0", "iii-ft-7"]
)
def test_real_mirrors(captures: Path, tshark: str, name: str) -> None:
    """What switches sent: tshark finds the same mirrored frames, in the same sessions."""
    path = captures / "encap" / "tcpdump" / f"erspan-type-{name}.pcap"
    with CaptureFile(str(path)) as file:
        packets = allocate_packets(1_000)
        view, count = file.read(packets)
        rows = slice_packets(packets, 0, count)
        frames = [
            bytes(view[start : start + length])
            for start, length in zip(rows.packet_offset, rows.captured_length, strict=True)
        ]
    fields = ["-T", "fields", "-e", "frame.protocols", "-e", "erspan.spanid"]
    lines = subprocess.run(
        [tshark, "-r", str(path), *fields], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    expected = []
    for line in lines:
        protocols, session = line.split("\t")
        # A frame type of its own maker (7) holds no Ethernet frame.
        expected.append(f"erspan {session or 0}" if "erspan:eth" in protocols else "eth0")
    assert [tap.split(" from ")[0] for tap in compare(frames, ["erspan"])] == expected
    assert any(tap != "eth0" for tap in expected) or name == "iii-ft-7"


@pytest.mark.root
def test_mirrors_arrive_over_a_wire(cable: Cable) -> None:
    """Both ERSPANs, GRE and VXLAN, all of one packet: four taps, and no tap of the interface's."""
    frames = [
        wrap(inner(number))
        for number in range(50)
        for wrap in (
            lambda frame: ethernet(ipv4(erspan_2(frame, 10), 47)),
            lambda frame: ethernet(ipv4(erspan_3(frame, 20), 47)),
            lambda frame: ethernet(ipv4(gre(frame, 30), 47)),
            lambda frame: ethernet(ipv4(vxlan(frame, 5_000), 17)),
            lambda frame: frame,
        )
    ]
    expressions = dict.fromkeys(expression for _, expression in FILTERS.values())
    program = compile_filter(" or ".join(expressions))
    packets = allocate_packets()
    seen: dict[str, int] = {}
    with MirrorRing(cable.near, program=program, promiscuous=False) as ring:
        feed = RingFeed([ring], MirrorTunnels(ALL, [cable.near]))
        cable.send(frames)
        for _ in range(20):
            batch = feed.read(packets, 0.1)
            assert batch is not None
            for tap in batch[1].tap.tolist():
                name = feed.tap_names()[tap]
                seen[name] = seen.get(name, 0) + 1
            if sum(seen.values()) >= 200:
                break
        assert feed.losses() == {0: (0, 0, 0)}
    assert seen == {"erspan 10": 50, "erspan 20": 50, "gre 30": 50, "vxlan 5000": 50}
