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

from fabricscope.collectors.synthetic.generator import generate_recipe
from fabricscope.collectors.synthetic.recipe import Recipe
from fabricscope.pipeline.analysis import Options, analyze
from fabricscope.pipeline.document import build_document

Part = dict[str, Any]
Row = dict[str, Any]

WRAPPERS: Final[dict[str, Part]] = {
    "ipv4": {},
    "ipv6": {"network": {"ip_version": 6}},
    "vlan": {"encapsulation": {"kind": "vlan"}},
    "vlan6": {"network": {"ip_version": 6}, "encapsulation": {"kind": "vlan"}},
    "erspan2": {"encapsulation": {"kind": "erspan2"}},
    "erspan3-6": {"network": {"ip_version": 6}, "encapsulation": {"kind": "erspan3"}},
    "vxlan": {"encapsulation": {"kind": "vxlan"}},
    "vxlan6": {"network": {"ip_version": 6}, "encapsulation": {"kind": "vxlan"}},
    "erspan-vxlan": {"encapsulation": {"kind": "erspan2+vxlan"}},
    "roce-v1": {"network": {"roce": 1}},
}
EGRESS: Final = {"taps": [{"name": "tap", "place": "egress"}]}
WRITE: Final = {
    "kind": "bulk",
    "operation": "write",
    "immediate": True,
    "messages": 24,
    "message_bytes": 32768,
    "outstanding": 4,
}
SEND: Final = WRITE | {"operation": "send", "immediate": False}
READ: Final = WRITE | {"operation": "read", "immediate": False}
ATOMIC: Final = WRITE | {"operation": "fetch_add", "immediate": False, "message_bytes": 8}
RING: Final = {
    "kind": "allreduce",
    "message_bytes": 131072,
    "slice_bytes": 32768,
    "iterations": 3,
}
TOLERANT: Final = {"out_of_order": "tolerate"}


def bulk(fault: Part, workload: Part = WRITE, **other: Part) -> Part:
    """Return the recipe of one fault on one stream."""
    return {"workloads": [workload], "faults": [fault], **other}


def loss(where: str, *packets: int, burst: int = 1) -> Part:
    return {"kind": "loss", "where": where, "packets": packets, "burst": burst}


FAULTS: Final[dict[str, tuple[Part, set[str]]]] = {
    "none": ({"workloads": [WRITE]}, set()),
    "none-ring": ({"workloads": [RING]}, set()),
    "none-send": ({"workloads": [SEND]}, set()),
    "none-read": ({"workloads": [READ]}, set()),
    "none-atomic": ({"workloads": [ATOMIC]}, set()),
    "loss-before-tap": (bulk(loss("uplink", 9, 57, 130)), {"network_loss"}),
    "loss-before-tap-send": (bulk(loss("uplink", 8, 15, 130), SEND), {"network_loss"}),
    "loss-after-tap": (bulk(loss("fabric", 9, 57, 130)), {"network_loss"}),
    "burst-before-tap": (
        bulk(loss("fabric", 6, 87, burst=5), capture=EGRESS),
        {"network_loss"},
    ),
    "burst-after-tap": (bulk(loss("fabric", 21, 87, burst=5)), {"network_loss"}),
    "loss-of-reads": (bulk(loss("fabric", 8, 48), READ), {"network_loss"}),
    "loss-of-atomics": (bulk(loss("fabric", 3, 11), ATOMIC), {"network_loss"}),
    "loss-of-responses": (
        bulk({"kind": "loss", "where": "fabric", "ratio": 0.03, "flow": {"src": 1}}, READ),
        {"network_loss"},
    ),
    "loss-of-responses-before-tap": (
        bulk({"kind": "loss", "where": "uplink", "ratio": 0.03, "flow": {"src": 1}}, READ),
        {"network_loss"},
    ),
    "tail": (
        bulk(
            {"kind": "tail_loss", "where": "fabric", "message": 6, "count": 2},
            WRITE | {"outstanding": 1},
        ),
        {"network_loss", "ack_timeout"},
    ),
    "tail-before-tap": (
        bulk(
            {"kind": "tail_loss", "where": "uplink", "message": 6, "count": 3},
            WRITE | {"outstanding": 1},
        ),
        {"network_loss", "ack_timeout"},
    ),
    "rnr": (bulk({"kind": "rnr", "message": 5, "count": 2}, SEND), {"receiver_not_ready"}),
    "rnr-write": (bulk({"kind": "rnr", "message": 5, "timer": 10}), {"receiver_not_ready"}),
    "access-error": (bulk({"kind": "access_error", "message": 11}), {"transport_error"}),
    "congestion": (
        {
            "workloads": [WRITE | {"pairs": [(0, 3), (1, 3), (2, 3)]}],
            "network": {"ecn_queue_us": 5.0, "hosts": 4},
            "capture": EGRESS,
        },
        {"congestion"},
    ),
    "marks": (bulk({"kind": "ce", "where": "uplink", "ratio": 0.1}), {"congestion"}),
    "pfc": (
        bulk({"kind": "pfc", "host": 0, "start_us": 5.0, "storms": 2, "interval_us": 200.0}),
        {"pause"},
    ),
    "pause": (bulk({"kind": "pause", "host": 0, "start_us": 5.0}), {"pause"}),
    "duplicates": (bulk({"kind": "mirror_duplicate", "ratio": 0.06}), {"mirror_duplicates"}),
    "all-twice": (bulk({"kind": "mirror_duplicate", "ratio": 1.0}), {"mirror_duplicates"}),
    "reordering": (
        bulk(
            {"kind": "reorder", "where": "uplink", "packets": (20, 47, 100), "burst": 3},
            transport=TOLERANT,
        ),
        {"reordering"},
    ),
    "reordering-ring": (
        {
            "workloads": [RING | {"split_immediate": True}],
            "faults": [{"kind": "reorder", "where": "uplink", "ratio": 0.03, "burst": 2}],
            "transport": TOLERANT,
        },
        {"reordering"},
    ),
    "mirror-loss": (bulk({"kind": "mirror_loss", "ratio": 0.04}), {"collector_loss"}),
    "mirror-loss-read": (
        bulk({"kind": "mirror_loss", "frames": (60, 61, 100)}, READ),
        {"collector_loss"},
    ),
    "stall": (
        {
            "workloads": [WRITE | {"pairs": [(0, 1), (2, 3)], "interval_us": 100.0}],
            "network": {"hosts": 4},
            "faults": [{"kind": "stall", "packet": 37, "flow": {"src": 0}}],
        },
        {"stalled_transfer"},
    ),
    "refused": (
        bulk({"kind": "cm_refused"}, WRITE | {"connect": True}),
        {"connection_refused"},
    ),
    "closed": (
        bulk({"kind": "cm_closed"}, WRITE | {"connect": True}),
        {"connection_closed_before_data"},
    ),
    "slow-rank": (
        {"workloads": [RING], "faults": [{"kind": "slow_rank", "host": 1}]},
        set(),
    ),
    "slow-link": (
        {"workloads": [RING], "faults": [{"kind": "slow_link", "host": 2}]},
        set(),
    ),
}


UNSEEN: Final[dict[str, tuple[str, ...]]] = {
    # The truth takes the answers to atomics for data, the analyzer for acknowledgements.
    "none-atomic": ("ecn_capable",),
    "loss-of-atomics": ("ecn_capable", "retransmissions"),
}


def run(folder: Path, content: Mapping[str, Any]) -> tuple[Row, Row]:
    """Generate a recipe in `folder` and analyze it; returns (document, truth)."""
    capture = {"snaplen": 160} | content.get("capture", {})
    transport = {"initial_psn": 0xFFFFB0} | content.get("transport", {})
    recipe = Recipe(
        name="test", **{**content, "capture": capture, "transport": transport}
    )
    truth = generate_recipe(recipe, str(folder / "out.pcap"))
    paths = [str(path) for path in truth.captures]
    document = build_document(analyze(paths, Options(), lambda done, total: None))
    return document, json.loads(truth.truth_file.read_text())


def merged(fault: Part, wrapper: Part) -> Part:
    """Return a fault's recipe inside a wrapper."""
    content = dict(fault)
    for key, part in wrapper.items():
        content[key] = {**content.get(key, {}), **part}
    return content


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


