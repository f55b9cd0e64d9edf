"""What mirror ports saw is read back by `fabricscope analyze` with the counts of the engine."""

import json
import subprocess
import sys

import numpy as np
import pytest

from fabricscope.topology.failures import ChannelEvent, Failure
from fabricscope.topology.packet_level import layout
from fabricscope.topology.packet_level.engine import run_packets
from fabricscope.topology.packet_level.mirror import endpoint_address, write_capture
from fabricscope.topology.packet_level.parameters import Nic, PacketOptions, SwitchModel
from fabricscope.topology.routing.balancing import Balancing
from fabricscope.topology.routing.routes import build_routes


@pytest.fixture(name="seen", scope="module")
def _seen(tmp_path_factory, leaf_spine, transfers):
    """Return the outcome and the analysis of an incast that loses packets of a link for 30 us."""
    fabric = leaf_spine(4, 2, 8)
    hosts = fabric.endpoints
    workload = transfers(hosts[:8], [*[hosts[31]] * 7, hosts[30]], 2_000_000)
    channel = 2 * fabric.find_link("leaf0-spine0")
    events = (ChannelEvent(5e4, channel, 0.0), ChannelEvent(8e4, channel, 1.0))
    failure = Failure("cut", "link", 5e4, events, ())
    up = [2 * fabric.find_link(f"host0.{n}-leaf0") for n in range(8)]
    taps = up + [one ^ 1 for one in up]
    nic = Nic(timeout=14)
    outcome = run_packets(
        fabric, build_routes(fabric), Balancing(), workload, [failure], nic=nic, taps=taps,
        switch=SwitchModel(buffer_bytes=3_000_000),
    )  # fmt: skip
    path = tmp_path_factory.mktemp("mirror") / "seen.pcapng"
    count = write_capture(path, fabric, workload, outcome, taps, nic)
    command = [sys.executable, "-m", "fabricscope", "analyze", str(path), "--json", "-"]
    run = subprocess.run([*command, "--quiet"], capture_output=True, text=True, check=True)
    return fabric, workload, outcome, count, json.loads(run.stdout)


def test_every_packet_is_there(seen):
    _, _, outcome, count, document = seen
    assert count == len(outcome.taps) == document["capture"]["packets"]
    assert document["capture"]["malformed_packets"] == 0
    kinds = np.bincount(outcome.taps["kind"], minlength=6)
    assert document["protocols"]["roce_v2"] == kinds[: layout.PAUSE].sum()
    assert document["protocols"]["cnp"] == kinds[layout.CNP] > 0
    assert document["protocols"]["pfc"] == kinds[layout.PAUSE] > 0


def test_queue_pairs_tell_what_the_engine_counted(seen):
    fabric, workload, outcome, _, document = seen
    place = {int(device): n for n, device in enumerate(fabric.endpoints)}
    ends = {
        (endpoint_address(place[int(source)]), endpoint_address(place[int(destination)])): pair
        for pair, (source, destination) in enumerate(
            zip(workload.source, workload.destination, strict=True)
        )
    }
    found = 0
    for entry in document["queue_pairs"]:
        pair = ends.get((entry["src"], entry["dst"]))
        if pair is None:
            continue
        found += 1
        row = outcome.queue_pairs[pair]
        assert entry["packets"] == 489 + row["again"]
        assert entry["retransmissions"] == row["again"]
        assert entry["naks"] == row["naks"]
        assert entry["cnps"] == row["cnps"]
        assert entry["messages"] == 1
        assert entry["payload_bytes"] >= 2_000_000
    assert found == 8
    assert outcome.queue_pairs["again"].sum() > 0
    assert any(finding["kind"] == "network_loss" for finding in document["findings"])


def test_what_does_not_fit_is_counted(leaf_spine, transfers):
    fabric = leaf_spine(2, 1, 1)
    one, two = fabric.endpoints
    channel = 2 * fabric.find_link("host0.0-leaf0")
    outcome = run_packets(
        fabric, build_routes(fabric), Balancing(), transfers([one], [two], 100_000),
        taps=[channel], options=PacketOptions(most_tap_packets=10),
    )  # fmt: skip
    assert len(outcome.taps) == 10
    assert outcome.counters["tap_missed"] == 15
