"""Every generated fault, found with the right count and put down to the right cause.

The numbers that a tap can see are worked out from the generator's truth by the definitions; what
no tap could know (a second loss behind the one that drew the NAK) is left out by rule, not by name.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from examples.faults import (
    FAULTS,
    RING,
    UNSEEN,
    WRAPPERS,
    WRITE,
    Part,
    bulk,
    loss,
    merged,
)

from fabricscope.collectors.synthetic.generator import generate_recipe
from fabricscope.collectors.synthetic.recipe import Recipe
from fabricscope.pipeline.analysis import Options, analyze
from fabricscope.pipeline.document import build_document

Row = dict[str, Any]


def run(folder: Path, content: Mapping[str, Any]) -> tuple[Row, Row]:
    """Generate a recipe in `folder` and analyze it; returns (document, truth)."""
    capture = {"snaplen": 512} | content.get("capture", {})
    transport = {"initial_psn": 0xFFFFB0} | content.get("transport", {})
    recipe = Recipe(name="test", **{**content, "capture": capture, "transport": transport})
    truth = generate_recipe(recipe, str(folder / "out.pcap"))
    paths = [str(path) for path in truth.captures]
    document = build_document(analyze(paths, Options(), lambda done, total: None))
    return document, json.loads(truth.truth_file.read_text())


def lasts(lost: list[Row]) -> int:
    return sum(row["opcode"] & 31 in (2, 3, 8, 9) for row in lost)


def key_of(row: Row) -> tuple[str, str, int]:
    return row["src"], row["dst"], row["dest_qp"]


def visible_losses(truth: Row, tap: str, direction: tuple[str, str, int]) -> int:
    """Count the lost packets that the tap could tell: the first of those lost behind it at once."""
    return sum(
        "frame" not in event["taps"][tap] or event["recovery"] is not None
        for fault in truth["faults"]
        if fault["kind"] in ("loss", "tail_loss")
        for event in fault["events"]
        if key_of(event) == direction
    )


def expected(truth: Row, tap: Row, pair: Row) -> Row:
    """Return what the analyzer is to say of one direction."""
    direction = key_of(pair)
    lost = [row for row in tap["lost_by_mirror"] if key_of(row) == direction]
    data_lost = [row for row in lost if row["opcode"] & 31 not in (17, 18)]
    carries_data = pair["data_packets"] > 0
    copies = pair["duplicates"] if carries_data else 0
    rereads = pair["reordered"] if tap["opcodes"].get("12") else 0
    network_lost = visible_losses(truth, tap["name"], direction)
    return {
        "packets": pair["packets"],
        # To the truth a READ of the rest of another is no repetition: its PSN is new.
        "retransmissions": pair["retransmissions"] + rereads,
        "duplicates": copies,
        "ecn_marked": pair["ce"],
        "ecn_capable": pair["ecn_capable"] + copies,
        "cnps": pair["cnps"],
        "naks": pair["naks"],
        "rnr_naks": pair["rnr_naks"],
        "timeouts": pair["timeouts"],
        "network_lost": network_lost,
        "collector_lost": len(data_lost),
        "unresolved_lost": 0,
        "delivered_bytes": pair["payload_bytes"],
    }


def check_table(document: Row, truth: Row, skip: tuple[str, ...] = ()) -> None:
    """Compare each direction with the truth."""
    [tap] = truth["taps"]
    rows: dict[tuple[str, str, int], Counter[str]] = {}
    for row in document["queue_pairs"]:
        numbers = {name: n for name, n in row.items() if isinstance(n, int)}
        rows.setdefault(key_of(row), Counter()).update(numbers)
    assert set(rows) <= {key_of(pair) for pair in tap["queue_pairs"]}
    for pair in tap["queue_pairs"]:
        if not pair["packets"]:
            continue
        row = rows[key_of(pair)]
        wanted = {k: v for k, v in expected(truth, tap, pair).items() if k not in skip}
        assert {name: row[name] for name in wanted} == wanted, key_of(pair)


def check_findings(document: Row) -> None:
    """Check that evidence agrees with the tables, and filters name nothing twice."""
    rows = {f"{r['src']} -> {r['dst']} QP 0x{r['dest_qp']:x}": r for r in document["queue_pairs"]}
    for finding in document["findings"]:
        row = rows.get(finding["subject"], {})
        for name in set(finding["evidence"]) & set(row):
            assert finding["evidence"][name] == row[name], (finding["kind"], name)
        assert finding["text"]
        assert finding["action"]
        numbers = finding["filter"].partition("{")[2].partition("}")[0].split(", ")
        assert len(numbers) == len(set(numbers)), finding["filter"]
        assert len(finding["packets"]) == len(set(finding["packets"])) <= 20


def all_numbers(value: object) -> Iterator[float]:
    if isinstance(value, dict):
        for part in value.values():
            yield from all_numbers(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from all_numbers(part)
    elif isinstance(value, float):
        yield value


CASES: Final = [(fault, wrapper) for fault in FAULTS for wrapper in WRAPPERS]


@pytest.mark.parametrize(("fault", "wrapper"), CASES, ids=[f"{f}-{w}" for f, w in CASES])
def test_fault_is_found(fault: str, wrapper: str, tmp_path: Path) -> None:
    content, kinds = FAULTS[fault]
    document, truth = run(tmp_path, merged(content, WRAPPERS[wrapper]))
    check_table(document, truth, skip=UNSEEN.get(fault, ()))
    assert {finding["kind"] for finding in document["findings"]} == kinds
    check_findings(document)
    assert all(math.isfinite(number) for number in all_numbers(document))


def mirror(**what: Any) -> Part:
    return {"kind": "mirror_loss"} | what


@pytest.mark.parametrize("wrapper", ["ipv4", "ipv6", "erspan2", "vxlan6", "roce-v1"])
@pytest.mark.parametrize("where", ["uplink", "fabric"])
def test_a_nak_that_the_mirror_missed(where: str, wrapper: str, tmp_path: Path) -> None:
    """The repetition itself tells the loss, though nothing says why it came."""
    content = merged(bulk(loss(where, 57, 130)), WRAPPERS[wrapper])
    _, truth = run(tmp_path, content)
    frames = truth["taps"][0]["frames"]["nak"]
    content["faults"] = [*content["faults"], mirror(frames=frames)]
    document, truth = run(tmp_path, content)
    assert truth["taps"][0]["capture_lost_packets"] == 2
    check_table(document, truth)
    assert {finding["kind"] for finding in document["findings"]} == {"network_loss"}


@pytest.mark.parametrize("wrapper", ["ipv4", "ipv6", "erspan2"])
def test_faults_together(wrapper: str, tmp_path: Path) -> None:
    """Loss in the network, marks and copies on several queue pairs, each put down to its cause."""
    content = merged(
        {
            "network": {"hosts": 4},
            "workloads": [WRITE | {"pairs": [(0, 1), (1, 2), (2, 3), (3, 0)]}],
            "faults": [
                loss("uplink", 20, 77) | {"flow": {"src": 0}},
                loss("fabric", 33, 121) | {"flow": {"src": 1}},
                {"kind": "rnr", "message": 9, "flow": {"src": 2}},
                {"kind": "ce", "where": "uplink", "ratio": 0.1, "flow": {"src": 3}},
                {"kind": "pfc", "host": 3, "start_us": 30.0, "duration_us": 20.0},
            ],
        },
        WRAPPERS[wrapper],
    )
    document, truth = run(tmp_path, content)
    check_table(document, truth)
    assert {finding["kind"] for finding in document["findings"]} == {
        "network_loss",
        "receiver_not_ready",
        "congestion",
        "pause",
    }


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("wrapper", ["ipv4", "ipv6"])
def test_mirror_loss_is_never_taken_for_network_loss(
    wrapper: str, seed: int, tmp_path: Path
) -> None:
    content = {
        "seed": seed,
        "workloads": [RING | {"iterations": 6}],
        "faults": [mirror(ratio=0.01)],
    }
    document, truth = run(tmp_path, merged(content, WRAPPERS[wrapper]))
    check_table(document, truth, skip=("collector_lost",))
    [tap] = truth["taps"]
    data = [row for row in tap["lost_by_mirror"] if row["opcode"] != 17]
    found = sum(row["collector_lost"] for row in document["queue_pairs"])
    assert found == len(data)
    assert {finding["kind"] for finding in document["findings"]} == {"collector_loss"}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("wrapper", ["ipv4", "ipv6"])
def test_network_loss_under_mirror_loss(wrapper: str, seed: int, tmp_path: Path) -> None:
    """Both at once: what the mirror missed behind a loss, and saw when it was sent again, blurs."""
    content = {
        "seed": seed,
        "workloads": [WRITE | {"messages": 200}],
        "faults": [loss("uplink", 100, 500, 900, 1300), mirror(ratio=0.01)],
    }
    document, truth = run(tmp_path, merged(content, WRAPPERS[wrapper]))
    [tap] = truth["taps"]
    [pair] = [row for row in document["queue_pairs"] if row["messages"]]
    data = [row for row in tap["lost_by_mirror"] if row["opcode"] != 17]
    blurred = pair["network_lost"] - 4
    assert 0 <= blurred <= 4
    assert len(data) - 8 <= pair["collector_lost"] + blurred <= len(data)
    assert pair["timeouts"] == 0
    assert pair["duplicates"] <= 1
    assert {f["kind"] for f in document["findings"]} >= {"network_loss", "collector_loss"}


@pytest.mark.parametrize("wrapper", ["ipv4", "ipv6"])
def test_several_taps_find_the_loss_between_them(wrapper: str, tmp_path: Path) -> None:
    taps = [
        {"name": "leaf0", "place": "leaf", "hosts": [0, 1]},
        {"name": "leaf1", "place": "leaf", "hosts": [2, 3], "offset_us": 350.0},
    ]
    content = {
        "network": {"hosts": 4},
        "capture": {"taps": taps},
        "workloads": [WRITE | {"pairs": [(0, 2), (3, 1)], "messages": 100}],
        "faults": [loss("fabric", 57, 400) | {"flow": {"src": 0}}],
    }
    document, _ = run(tmp_path, merged(content, WRAPPERS[wrapper]))
    lost = {(r["src"], r["dst"]): r["network_lost"] for r in document["queue_pairs"]}
    assert sorted(lost.values()) == [0, 0, 0, 2]
    taps_found = document["capture"]["taps"]
    assert sum(tap["network_lost_packets"] for tap in taps_found) == 2
    assert sum(tap["collector_lost_packets"] for tap in taps_found) == 0
    offset = taps_found[1]["clock_offset_us"] - taps_found[0]["clock_offset_us"]
    assert abs(abs(offset) - 350.0) <= 10.0
    assert {finding["kind"] for finding in document["findings"]} == {
        "network_loss",
        "loss_between_taps",
    }
