"""A simulated fabric's samples against what the scenario says by arithmetic."""

import polars as pl
import pytest

from fabricscope.errors import FabricError
from fabricscope.pipeline.live.simulated import Episode, SimulatedFabric, Training
from fabricscope.schemas import schema_of

SECOND_NS = 1_000_000_000
SPEC = "leaf-spine:2x2x2@100G"
SMALL = Training(size_bytes=64 << 20, compute_ns=30e6, queue_pairs=1, iterations=8, order="linear")


def second(fabric: SimulatedFabric, number: int) -> dict[str, pl.DataFrame]:
    return fabric.sample(number * SECOND_NS, (number + 1) * SECOND_NS)


def test_a_healthy_second_carries_what_the_ring_sends() -> None:
    tables = second(SimulatedFabric(SPEC, "sim", training=SMALL), 3)
    for name, frame in tables.items():
        assert dict(frame.schema) == schema_of(name)
    iterations, links = tables["iterations"], tables["link_samples"]
    assert iterations.height == 8
    payload = 8 * 2 * 3 / 4 * (64 << 20)
    ups = links.filter(pl.col("link").str.starts_with("host"), pl.col("direction") == "up")
    assert ups.height == 4
    assert ups["bytes"].to_list() == pytest.approx([payload * 4178 / 4096] * 4)
    assert ups["utilization"].to_list() == pytest.approx([payload * 4178 / 4096 * 8 / 1e11] * 4)
    one_iteration_s = payload / 8 * 4178 / 4096 * 8 / 1e11
    assert ups["burst"].max() == pytest.approx(one_iteration_s / 0.01)
    assert links["source"].unique().to_list() == ["simulated"]
    assert links["score"].min() == 100
    assert iterations["time_ns"].min() == 3 * SECOND_NS + 30_000_000
    assert 90 < iterations["busbw_gbps"].min() < 100  # type: ignore[operator]
    pairs = tables["rdma_samples"]
    assert pairs["messages"].to_list() == [8 * 6] * 4
    assert pairs["payload_bytes"].sum() == pytest.approx(4 * payload)


def test_a_cut_link_goes_down_once_and_its_traffic_moves() -> None:
    fabric = SimulatedFabric(SPEC, "sim", [Episode(1, 3, "leaf0-spine0")], SMALL, turn_s=4)
    loads = []
    for number in range(4):
        links = second(fabric, number)["link_samples"].filter(pl.col("link") == "leaf0-spine0")
        loads.append(int(links["bytes"].sum()))
        flaps = links["flaps"].sum()
        assert flaps == (2 if number == 1 else 0)
        down = [share for share in ("70%", "100%") if share in links["reasons"][0]]
        assert down == {1: ["70%"], 2: ["70%"]}.get(number, [])
    assert loads[0] == loads[3] > 0
    assert loads[2] < loads[0]


def test_a_dying_transceiver_loses_packets_and_light() -> None:
    episode = Episode(0, 4, "leaf1-spine0", ":loss={share:.0e}", power_db=8.0)
    fabric = SimulatedFabric(SPEC, "sim", [episode], SMALL, turn_s=5)
    powers = []
    for number in range(4):
        links = second(fabric, number)["link_samples"].filter(pl.col("link") == "leaf1-spine0")
        powers.append(links["rx_power_dbm"][0])
    assert powers == pytest.approx([-3.5, -5.5, -7.5, -9.5])
    assert second(fabric, 4)["link_samples"]["rx_power_dbm"].min() == -1.5


def test_the_same_seed_gives_the_same_second() -> None:
    first, again = (second(SimulatedFabric(SPEC, "sim", training=SMALL), 0) for _ in range(2))
    assert all(first[name].equals(again[name]) for name in first)


def test_an_episode_on_no_link_is_refused_at_once() -> None:
    with pytest.raises(FabricError, match="no link 'leaf9-spine0'"):
        SimulatedFabric(SPEC, "sim", [Episode(1, 2, "leaf9-spine0")])
