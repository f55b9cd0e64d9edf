"""The recorded captures that are shipped: what their truth files say is what `analyze` finds."""

import gzip
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from fabricscope.pipeline.analysis import Options, analyze
from fabricscope.pipeline.document import build_document

PCAPS = Path(__file__).resolve().parents[1] / "pcaps"


def document(name: str) -> dict[str, Any]:
    return build_document(
        analyze([str(PCAPS / "recorded" / f"{name}.pcap.gz")], Options(), lambda *_: None)
    )


def truth(name: str) -> list[dict[str, Any]]:
    text = (PCAPS / "recorded" / f"{name}.truth.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_the_table_has_each_capture_with_its_checksum() -> None:
    table = dict(
        re.findall(
            r"`recorded/([^`]+)` \|.*`([0-9a-f]{64})`",
            (PCAPS / "README.md").read_text(encoding="utf-8"),
        )
    )
    found = {
        path.name: hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest()
        for path in (PCAPS / "recorded").glob("*.pcap.gz")
    }
    assert found == table


@pytest.mark.parametrize(
    ("name", "kind", "ip"),
    [("slow-link", "link", "10.77.0.11"), ("straggler", "compute", "10.77.0.12")],
)
def test_who_holds_the_job_back_is_named(name: str, kind: str, ip: str) -> None:
    (rank, *_) = truth(name)
    collectives = [c for c in document(name)["collectives"] if c["operation"] == "allreduce"]
    assert len(collectives) == 1
    found = collectives[0]
    assert found["iterations"] == rank["iters"]
    assert found["message_bytes"] == pytest.approx(rank["bytes"], rel=0.02)
    assert (found["straggler"]["kind"], found["straggler"]["ip"]) == (kind, ip)


def test_a_capture_may_begin_and_end_in_the_middle_of_an_operation() -> None:
    """What a shaped link sends in bursts, at the wire's rate each, is slow as a whole."""
    ranks = truth("shaped-link")
    (found,) = document("shaped-link")["collectives"]
    assert (found["operation"], found["algorithm"]) == ("allreduce", "ring")
    assert found["iterations"] == ranks[1]["iters"]
    assert found["message_bytes"] == pytest.approx(ranks[1]["bytes"], rel=0.02)
    slow = found["straggler"]
    assert (slow["kind"], slow["ip"], slow["direction"]) == ("link", ranks[1]["ip"], "up")
    assert slow["rate_gbps"] == pytest.approx(ranks[1]["shaped_gbps"], rel=0.1)


def test_a_training_job_shows_its_steps_and_checkpoints() -> None:
    (rank, *_) = truth("training")
    jobs = document("training")["jobs"]
    assert len(jobs) == 1
    assert jobs[0]["steps"] == rank["steps"]
    written = [event for event in rank["events"] if event[0] == "checkpoint"]
    assert [c["rank"] for c in jobs[0]["checkpoints"]] == [rank["ip"]] * len(written)
    for found, (_, start_ns, end_ns, _) in zip(jobs[0]["checkpoints"], written, strict=True):
        assert start_ns - 1e6 <= found["start_ns"] < found["end_ns"] <= end_ns + 1e6
