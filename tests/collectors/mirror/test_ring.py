import os
import subprocess
import time
from contextlib import ExitStack

import numpy as np
import pytest
from wires import Cable, plugged_in

from fabricscope.collectors.decode import decode
from fabricscope.collectors.mirror.filters import compile_filter
from fabricscope.collectors.mirror.ring import MirrorRing, start_together
from fabricscope.errors import ConfigError
from fabricscope.records import allocate_packets, slice_packets

pytestmark = pytest.mark.root


def frames(count: int, size: int = 200) -> list[bytes]:
    """Return Ethernet/IPv4/UDP frames that count up in their last bytes."""
    made = []
    for number in range(count):
        ip = bytes.fromhex("45000000000040004011000001020304050607080bb812b7")
        ip = ip[:2] + (size - 14).to_bytes(2, "big") + ip[4:]
        udp_length = (size - 34).to_bytes(2, "big") + b"\0\0"
        head = bytes(range(12)) + b"\x08\x00" + ip + udp_length
        made.append(head + bytes(size - len(head) - 4) + number.to_bytes(4, "big"))
    return made


def take(ring: MirrorRing, wanted: int, seconds: float = 5.0) -> list[bytes]:
    """Return the bytes of packets as they come, until there are enough or time is up."""
    packets = allocate_packets(1_000)
    got: list[bytes] = []
    end = time.monotonic() + seconds
    while len(got) < wanted and time.monotonic() < end:
        ring.wait(0.1)
        view, count = ring.read(packets)
        for row in range(count):
            start = int(packets.packet_offset[row])
            got.append(view[start : start + int(packets.captured_length[row])].tobytes())
    return got


def test_every_byte_arrives_in_order(cable: Cable) -> None:
    sent = frames(5_000)
    with MirrorRing(cable.near) as ring:
        cable.send(sent)
        assert take(ring, 5_000) == sent
        counters = ring.count()
    assert (counters.received, counters.read, counters.dropped) == (5_000, 5_000, 0)


def test_rows_are_what_the_decoder_needs(cable: Cable) -> None:
    packets = allocate_packets(100)
    with MirrorRing(cable.near, tap=7) as ring:
        before = time.time_ns()
        cable.send(frames(3))
        ring.wait(1)
        view, count = ring.read(packets)
        rows = slice_packets(packets, 0, count)
        decode(view, rows)
        assert rows.wire_length.tolist() == [200] * 3
        assert rows.tap.tolist() == [7] * 3
        assert rows.frame.tolist() == [1, 2, 3]
        assert rows.dst_port.tolist() == [4791] * 3
        assert (np.abs(rows.time_ns - before) < 5_000_000_000).all()


def test_vlan_tags_are_put_back(cable: Cable) -> None:
    frame = frames(1)[0]
    tagged = frame[:12] + bytes.fromhex("8100a064") + frame[12:]
    double = frame[:12] + bytes.fromhex("88a8000581000007") + frame[12:]
    with MirrorRing(cable.near) as ring:
        cable.send([tagged, frame, double])
        assert take(ring, 3) == [tagged, frame, double]


def test_a_filter_runs_in_the_kernel(cable: Cable) -> None:
    other = [frame[:36] + b"\x00\x35" + frame[38:] for frame in frames(50)]
    with MirrorRing(cable.near, program=compile_filter("udp port 53")) as ring:
        cable.send([*frames(50), *other])
        assert take(ring, 51, 0.5) == other
        assert ring.count().received == 50


def test_a_bad_filter_is_refused_in_the_words_of_libpcap() -> None:
    with pytest.raises(ConfigError, match=r"'tcp prot 5'.*syntax error"):
        compile_filter("tcp prot 5")


def test_what_does_not_fit_is_counted_to_the_packet(cable: Cable) -> None:
    """Nobody reads while 20,000 packets come: each is read later, or counted as dropped."""
    with MirrorRing(cable.near, blocks=4, block_bytes=1 << 16) as ring:
        cable.send(frames(20_000))
        time.sleep(0.2)
        got = take(ring, 20_000, 1.0)
        counters = ring.count()
    assert 0 < len(got) < 20_000
    assert counters.read == len(got)
    assert counters.read + counters.dropped == counters.received == 20_000
    assert counters.freezes > 0


def test_an_interface_may_go_and_come_back(cable: Cable) -> None:
    with MirrorRing(cable.near) as ring:
        cable.send(frames(2))
        assert len(take(ring, 2)) == 2
        subprocess.run(["ip", "link", "set", cable.near, "down"], check=True)
        ring.wait(0.1)
        subprocess.run(["ip", "link", "set", cable.near, "up"], check=True)
        time.sleep(0.1)
        cable.send(frames(3))
        assert len(take(ring, 3)) == 3
        assert ring.counters.down == 1


def test_an_interface_may_be_made_anew(caplog: pytest.LogCaptureFixture) -> None:
    with ExitStack() as first, MirrorRing(first.enter_context(plugged_in("a")).near) as ring:
        subprocess.run(["ip", "link", "set", ring.interface, "down"], check=True)
        ring.wait(0.1)
        assert ring.down
        first.close()
        with plugged_in("a") as new:
            end = time.monotonic() + 5
            while ring.down and time.monotonic() < end:
                ring.wait(0.1)
            new.send(frames(3))
            assert take(ring, 3) == frames(3)
    assert [record.getMessage() for record in caplog.records][:2] == [
        f"mirror port {new.near} went down: its packets are missing until it is back",
        f"mirror port {new.near} is back",
    ]


def between(source: int, target: int, port: int) -> bytes:
    """Return a frame from one address to another, as IPv4 or, for large numbers, IPv6."""
    udp = port.to_bytes(2, "big") + b"\x12\xb7" + (60).to_bytes(2, "big") + b"\0\0"
    if source < 1_000:
        ip = bytes.fromhex("4500005000000000401100000a00") + source.to_bytes(2, "big")
        return (
            bytes(range(12))
            + b"\x08\x00"
            + ip
            + b"\x0a\x00"
            + target.to_bytes(2, "big")
            + (udp + bytes(52))
        )
    ip = bytes.fromhex("60000000003c1140") + source.to_bytes(16, "big") + target.to_bytes(16, "big")
    return bytes(range(12)) + b"\x86\xdd" + ip + udp + bytes(52)


@pytest.mark.parametrize("first", [1, 1 << 90])
def test_rings_that_start_together_share_the_packets_by_address(cable: Cable, first: int) -> None:
    """Both directions between two hosts come to one ring, whatever the ports."""
    rings = [MirrorRing(cable.near), MirrorRing(cable.near)]
    for ring in rings:
        ring.open()
    cable.send([between(first, first + 1, 7)] * 10)  # before the start: for nobody
    start_together(rings)
    sent = []
    for number in range(200):
        a, b = first + number, first + 2 * number + 1
        sent += [between(a, b, 1_000 + number), between(b, a, 2_000 + number)]
    cable.send(sent)
    shares = [take(ring, 401, 0.5) for ring in rings]
    for ring in rings:
        ring.close()
    assert all(len(share) > 100 for share in shares)
    assert sorted(shares[0] + shares[1]) == sorted(sent)
    for number in range(200):
        there, back = sent[2 * number : 2 * number + 2]
        assert any(there in share and back in share for share in shares)


def test_nobody_spins_while_nothing_comes(cable: Cable) -> None:
    packets = allocate_packets(100)
    with MirrorRing(cable.near) as ring:
        cable.send(frames(3))
        assert ring.wait(1)
        assert ring.read(packets)[1] == 3
        before = time.monotonic()
        assert not ring.wait(0.2)
        assert time.monotonic() - before > 0.15


def test_a_shut_ring_still_holds_what_came_before(cable: Cable) -> None:
    with MirrorRing(cable.near) as ring:
        cable.send(frames(5))
        ring.shut()
        cable.send(frames(3))
        assert len(take(ring, 8, 0.5)) == 5
        assert ring.count().received == 5


def test_what_cannot_be_opened_is_said_in_a_sentence(cable: Cable) -> None:
    with pytest.raises(ConfigError, match=r"no interface nosuch0; this host has .*lo"):
        MirrorRing("nosuch0").open()
    with pytest.raises(ConfigError, match=r"hardware|card or the kernel does not offer"):
        MirrorRing(cable.near, hardware_time=True).open()
    os.seteuid(65_534)
    try:
        with pytest.raises(ConfigError, match="needs root or the capability CAP_NET_RAW"):
            MirrorRing(cable.near).open()
    finally:
        os.seteuid(0)
