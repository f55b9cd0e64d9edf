"""The parts of `make bench-sim`: its scenarios' numbers, the peers' programs, its table."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

MODULES = ("compare", "measurement", "model", "scenarios", "simulators", "table")


@pytest.fixture(scope="module")
def bench(repository: Path) -> Iterator[SimpleNamespace]:
    """Import the scripts as they import one another; leave no trace in the import system."""
    folders = [str(repository / "benchmarks"), str(repository / "benchmarks" / "simulators")]
    before = {name: sys.modules.pop(name, None) for name in MODULES}
    sys.path[:0] = folders
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    finally:
        for folder in folders:
            sys.path.remove(folder)
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module:
                sys.modules[name] = module


def _find(scenarios: ModuleType, name: str) -> object:
    return next(s for s in scenarios.list_scenarios() if s.name == name)


@pytest.mark.parametrize(
    ("name", "flows", "packets", "hosts"),
    [
        ("one flow", 1, 489, 2),
        ("incast", 8, 8 * 489, 16),
        ("S1", 512, 250_368, 512),
        ("S2", 16 * 32 * 62, 16 * 32 * 62 * 64, 512),
        ("all-to-all, one switch", 65_280, 65_280 * 16, 256),
        ("all-to-all, hashed", 16_256, 16_256 * 16, 128),
        ("ring", 523_264, 523_264 * 256, 512),
    ],
)
def test_scenarios_have_the_numbers_of_the_published_ones(
    bench: SimpleNamespace, name: str, flows: int, packets: int, hosts: int
) -> None:
    scenario = _find(bench.scenarios, name)
    assert len(scenario.flows.source) == flows
    assert scenario.data_packets == packets
    assert scenario.hosts == hosts
    assert (scenario.flows.source != scenario.flows.destination).all()


def test_permutation_uses_every_host_once(bench: SimpleNamespace) -> None:
    flows = bench.scenarios.make_permutation().flows
    for ends in (flows.source, flows.destination):
        assert sorted(ends) == list(range(512))


def test_rings_pass_on_what_the_rank_before_sent(bench: SimpleNamespace) -> None:
    flows = bench.scenarios.make_rings("small", 3, 5, 5 * 4096).flows
    for number in range(len(flows.source)):
        predecessor = flows.predecessor[number]
        if predecessor < 0:
            continue
        assert predecessor < number
        assert flows.destination[predecessor] == flows.source[number]
    first = flows.predecessor < 0
    assert np.count_nonzero(first) == 15
    assert len(set(flows.source[first])) == 15


def test_file_gives_the_scenario_back(bench: SimpleNamespace, tmp_path: Path) -> None:
    written = bench.model.draw_paths(bench.scenarios.make_rings("small", 4, 8, 1 << 20))
    bench.scenarios.write_scenario(written, tmp_path / "small.txt")
    read = bench.scenarios.read_scenario(tmp_path / "small.txt")
    assert (read.leaves, read.spines, read.hosts_per_leaf) == (32, 16, 16)
    for name, column in vars(written.flows).items():
        assert np.array_equal(getattr(read.flows, name), column)


def test_flows_between_leaves_have_a_spine_and_pairs_keep_theirs(bench: SimpleNamespace) -> None:
    flows = bench.model.draw_paths(bench.scenarios.make_rings("small", 4, 8, 1 << 20)).flows
    between = flows.source // 16 != flows.destination // 16
    assert ((flows.spine >= 0) == between).all()
    assert flows.spine.max() < 16
    spine_of: dict[tuple[int, int], int] = {}
    for pair, spine in zip(
        zip(flows.source, flows.destination, strict=True), flows.spine, strict=True
    ):
        assert spine_of.setdefault(pair, spine) == spine


def test_shares_keep_flows_and_cut_bytes(bench: SimpleNamespace) -> None:
    for scenario in bench.compare._list_with_shares():
        assert scenario.name in bench.compare.RUNS
    share = bench.scenarios.take_share(bench.scenarios.make_permutation(), 16)
    assert set(share.flows.size_bytes) == {125_000}
    assert len(share.flows.source) == 512


def _outcome(bench: SimpleNamespace, name: str, ours: bool, cpu_s: float | None) -> object:
    simulator = bench.simulators.Simulator(name, "packet", "a model", (), "", ours)
    figures = None
    if cpu_s is not None:
        figures = {
            "run_s": 2 * cpu_s,
            "run_cpu_s": cpu_s,
            "events": 1_000_000,
            "data_packets": 250_368,
            "flows": 512,
            "makespan_ns": 900_000.0 * (1 if ours else 1.01),
            "acknowledged_ns": 0.0,
            "peak_bytes": 50_000_000,
        }
    run = bench.measurement.Run(wall_s=1.5, cpu_s=1.4, peak_rss_bytes=1, status=3)
    return bench.table.Outcome("S1", simulator, run, figures, 3)


def test_table_compares_with_ours_and_says_what_failed_or_is_absent(bench: SimpleNamespace) -> None:
    report = bench.table.write_report(
        [
            _outcome(bench, bench.simulators.PACKETS, True, 0.25),
            _outcome(bench, bench.simulators.BARE, True, 0.2),
            _outcome(bench, "slow peer", False, 10.0),
            _outcome(bench, "broken peer", False, None),
        ],
        scenarios=[bench.scenarios.make_permutation()],
        machine="a machine, 2 cores",
        load="0.0, 0.0, 0.0",
        date="2026-01-02",
        command="make bench-sim",
        absent=[bench.simulators.Absent("another peer", "install `another`")],
    )
    lines = report.splitlines()
    row = next(line for line in lines if line.startswith("| slow peer | 20"))
    assert "| 40 (40) |" in row
    assert "909.0 (+1.00%)" in row
    assert "| 25,000 |" in row  # data packets/s by CPU time: 250,368 / 10
    assert any(line.startswith("| broken peer | failed (status 3)") for line in lines)
    assert "Not here: another peer; install `another`." in lines
    assert any(line.startswith("| *recorded:* csg-htsim") for line in lines)
    assert "| S1 | packet | slow peer | 40 (40) | +1.00% |" in lines
    table = lines[lines.index("### Packet level") :]
    assert {line.count("|") for line in table if line.startswith("|")} == {12}


@pytest.fixture(scope="module", params=["ns3", "simgrid"])
def peers(
    request: pytest.FixtureRequest, bench: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory
) -> list[object]:
    """Return the simulators that a peer's program offers, built anew."""
    folder = tmp_path_factory.mktemp(request.param)
    simulators = getattr(bench.simulators, f"_build_{request.param}")(folder)
    if not simulators:
        pytest.skip(f"needs g++ and Debian's development package of {request.param}")
    return simulators


def _run(simulator: object, scenario: object, bench: SimpleNamespace, folder: Path) -> dict:
    path = folder / "scenario.txt"
    bench.scenarios.write_scenario(scenario, path)
    command = [*simulator.command, str(path), simulator.mode]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(answer.stdout)


SERIALISED_NS = 2_000_000 * 8 / 100
FORWARDED_NS = 3 * 4096 * 8 / 100  # each packet waits for its end at three switches
PROPAGATED_NS = 4 * 1000


def test_peers_agree_with_arithmetic(
    bench: SimpleNamespace, peers: list[object], tmp_path: Path
) -> None:
    """One flow and an incast last as long as their bytes and their way; flows have no packets."""
    for simulator in peers:
        for scenario, senders in (("one flow", 1), ("incast", 8)):
            drawn = bench.model.draw_paths(_find(bench.scenarios, scenario))
            figures = _run(simulator, drawn, bench, tmp_path)
            due_ns = senders * SERIALISED_NS + PROPAGATED_NS
            due_ns += FORWARDED_NS if simulator.level == "packet" else 0
            assert figures["makespan_ns"] == pytest.approx(due_ns, abs=0.01)
            assert figures["flows"] == senders
            assert figures["peak_bytes"] > 1_000_000
            if simulator.level == "packet":
                assert figures["data_packets"] == senders * 489


def test_peers_pass_a_ring_step_by_step(
    bench: SimpleNamespace, peers: list[object], tmp_path: Path
) -> None:
    """A ring inside one leaf takes its steps, each as long as a part and two hops."""
    ring = bench.scenarios.make_rings("small", 1, 4, 4 * 40_960)
    places = {host: place for place, host in enumerate(sorted(set(ring.flows.source)))}
    moved = [
        np.array([places[host] for host in ends])
        for ends in (ring.flows.source, ring.flows.destination)
    ]
    flows = replace(ring.flows, source=moved[0], destination=moved[1])
    for simulator in peers:
        figures = _run(simulator, replace(ring, flows=flows), bench, tmp_path)
        step_ns = 40_960 * 8 / 100 + 2_000 + (4096 * 8 / 100 if simulator.level == "packet" else 0)
        assert figures["flows"] == 24
        # Acknowledgements of the other direction take 5 ns each from a port.
        assert figures["makespan_ns"] == pytest.approx(6 * step_ns, rel=0.002)
