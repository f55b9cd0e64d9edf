import random

import pytest

from fabricscope.collectors.ports import PortInterval
from fabricscope.collectors.sflow.agents import SflowAgents
from reference import sflow_traffic as made

SECOND_NS = 1_000_000_000
START_NS = 1_700_000_000 * SECOND_NS


def roce(ecn: int = 2, opcode: int = 0x0A, size: int = 1_000) -> bytes:
    ip = bytes([0x45, ecn]) + (size - 14).to_bytes(2, "big") + bytes(4)
    ip += bytes([64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2])
    udp = bytes.fromhex("c00012b7") + (size - 34).to_bytes(2, "big") + b"\0\0"
    bth = bytes([opcode]) + bytes.fromhex("40ffff0000000700000001")
    return (bytes(range(12)) + b"\x08\x00" + ip + udp + bth + bytes(size))[: min(size, 128)]


def counted(agents: SflowAgents) -> dict[tuple[str, str], PortInterval]:
    return {(one.port, one.direction): one for one in agents.counted()}


def test_differences_of_counters() -> None:
    agents = SflowAgents()
    first = made.generic(in_octets=10**12, in_unicast=2**32 - 500, in_errors=2**32 - 1)
    agents.take(START_NS, made.datagram([made.counter_sample([first, made.dot3(fcs=5)])]))
    assert agents.counted() == []
    second = made.generic(
        in_octets=10**12 + 25_000_000,
        in_unicast=500,
        in_discards=7,
        in_errors=2**32 - 1,
        out_octets=50_000_000,
        out_errors=2,
        status=1,
    )
    records = [second, made.dot3(fcs=8, symbol=1), made.optics([500, 10])]
    data = made.datagram([made.counter_sample(records, sequence=2)], sequence=2, uptime_ms=1_200)
    agents.take(START_NS + 2 * SECOND_NS, data)
    up, down = agents.counted()
    assert (up.port, up.direction, down.direction) == ("10.0.0.1 port 3", "up", "down")
    assert up.interval_ns == 2 * SECOND_NS
    assert up.rate_gbps == 1.0
    assert up.bytes == 25_000_000
    assert up.packets == 1_000  # the 32-bit counter wrapped
    assert up.discards == 7
    assert up.errors == 3  # the interface does not count them, its Ethernet part does
    assert up.flaps == down.flaps == 1
    assert up.notes == ("is down",)
    assert up.rx_power_dbm == pytest.approx(-20.0)
    assert (down.bytes, down.errors, down.rx_power_dbm) == (50_000_000, 2, None)


def test_counters_that_were_set_back_tell_nothing() -> None:
    agents = SflowAgents()
    for sequence, octets, uptime_ms in ((8, 10**9, 60_000), (9, 5, 61_000), (10, 1_005, 62_000)):
        sample = made.counter_sample([made.generic(in_octets=octets)], sequence=sequence)
        data = made.datagram([sample], sequence=sequence, uptime_ms=uptime_ms)
        agents.take(START_NS + uptime_ms * 1_000_000, data)
    assert [one.bytes for one in agents.counted() if one.direction == "up"] == [1_000]
    # The agent started again: numbers and uptime are small, the counter has grown all the same.
    for sequence, octets, uptime_ms in ((1, 2_000, 100), (2, 2_600, 1_100)):
        sample = made.counter_sample([made.generic(in_octets=octets)], sequence=sequence)
        data = made.datagram([sample], sequence=sequence, uptime_ms=uptime_ms)
        agents.take(START_NS + (70_000 + uptime_ms) * 1_000_000, data)
    assert [one.bytes for one in agents.counted() if one.direction == "up"] == [600]
    assert agents.counts()["10.0.0.1"].lost_datagrams == 0


def test_lost_datagrams_are_counted() -> None:
    agents = SflowAgents()
    for sequence in (100, 101, 105, 103, 106):
        agents.take(START_NS, made.datagram([], sequence=sequence, uptime_ms=sequence))
    assert agents.counts()["10.0.0.1"].lost_datagrams == 2
    for sequence in (2**32 - 1, 0, 3):
        data = made.datagram([], sequence=sequence, agent=b"\x0a\0\0\2")
        agents.take(START_NS, data)
    assert agents.counts()["10.0.0.2"].lost_datagrams == 2


def test_estimates_are_scaled_by_the_sampling_rate() -> None:
    agents = SflowAgents()
    samples = [
        made.flow_sample([made.raw_header(roce(), 1_000)], rate=100),
        made.flow_sample([made.raw_header(roce(3), 1_000)], rate=100),
        made.flow_sample(
            [made.raw_header(roce(0, 0x81, 74))], rate=100, source=4, input_port=4, output_port=3
        ),
        made.flow_sample([made.raw_header(roce()[14:], 986, protocol=11)], rate=100),
    ]
    agents.take(START_NS, made.datagram(samples))
    rows = {(one.port[-1], one.direction): one for one in agents.estimated(SECOND_NS)}
    assert set(rows) == {("3", "up"), ("4", "down"), ("4", "up"), ("3", "down")}
    for key in (("3", "up"), ("4", "down")):
        row = rows[key]
        assert (row.packets, row.bytes) == (300, 100 * (1_000 + 1_000 + 986))
        assert (row.ecn_capable, row.ecn_marked, row.cnps) == (300, 100, 0)
    assert (rows["4", "up"].packets, rows["4", "up"].cnps) == (100, 100)
    assert agents.estimated(SECOND_NS) == []
    counts = agents.counts()["10.0.0.1"]
    assert (counts.flow_samples, counts.sampled_bytes, counts.sampling_rate) == (4, 3_060, 100)


def test_a_packet_sampled_on_its_way_out_is_not_added_twice() -> None:
    agents = SflowAgents()
    frame = made.raw_header(roce(), 1_000)
    entering = made.flow_sample([frame], source=3)
    leaving = made.flow_sample([frame], source=4)
    agents.take(START_NS, made.datagram([leaving, entering, leaving]))
    rows = {(one.port[-1], one.direction): one.packets for one in agents.estimated(SECOND_NS)}
    assert rows == {("3", "up"): 100, ("4", "down"): 200}


def test_agents_and_ports_are_bounded() -> None:
    agents = SflowAgents(max_agents=2, max_ports=3)
    for number in range(5):
        samples = [made.counter_sample([made.generic(index)]) for index in (1, 2, 5)]
        agents.take(START_NS, made.datagram(samples, agent=bytes([10, 0, 0, number])))
    assert agents.strangers == 3
    assert agents.left_out == 3
    assert len(agents.counts()) == 2
    agents.take(START_NS, b"not sFlow")
    assert agents.strangers == 4


def test_samples_that_nobody_asks_for_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fabricscope.collectors.sflow.agents.MAX_SAMPLES", 5)
    agents = SflowAgents()
    sample = made.flow_sample([made.raw_header(roce(), 1_000)])
    for _ in range(4):
        agents.take(START_NS, made.datagram([sample, sample]))
    assert agents.left_out == 3
    assert {one.packets for one in agents.estimated(SECOND_NS)} == {500}


def test_damage_is_counted_and_raises_nothing() -> None:
    draw = random.Random(3)
    agents = SflowAgents(max_agents=50, max_ports=200)
    whole = made.datagram(
        [
            made.flow_sample([made.raw_header(roce(), 1_000)], rate=2**32 - 1),
            made.counter_sample([made.generic(), made.dot3(), made.optics([0])]),
        ]
    )
    for number in range(5_000):
        data = bytearray(whole)
        for _ in range(draw.randrange(4)):
            data[draw.randrange(4, len(data))] = draw.randrange(256)
        if draw.random() < 0.3:
            del data[draw.randrange(len(data)) :]
        agents.take(START_NS + number * 1_000, bytes(data))
        if number % 500 == 0:
            agents.estimated(SECOND_NS)
            counted(agents)
    assert agents.strangers > 100
    assert sum(counts.malformed for counts in agents.counts().values()) > 100
