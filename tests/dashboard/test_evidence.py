"""Evidence is read without underscores, with units, and without what is not known."""

import pytest

from fabricscope.dashboard.evidence import describe_evidence, list_evidence


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        ({"lost_packets": 1200, "share": 0.12345}, "lost packets 1,200, share 12.3 %"),
        (["a", "b"], "a; b"),
        ("as told", "as told"),
        (None, ""),
        ({"nested": {"p50": 1, "seen": True}}, "nested p50 1, seen yes"),
    ],
)
def test_evidence_of_any_shape_is_one_line(evidence: object, expected: str) -> None:
    assert describe_evidence(evidence) == expected


def test_unknown_evidence_is_left_out() -> None:
    assert describe_evidence({"naks": 0, "nak_response_us_p50": None}) == "NAKs 0"


def test_units_stand_with_the_numbers() -> None:
    assert list_evidence(
        {
            "nak_response_us_p50": 4.152,
            "late_ms": 80.0,
            "others_gbps": 20.2762,
            "message_bytes": 1 << 20,
            "ecn_ratio": 0.025,
            "status": 200,
            "reason_ms": "as told",
        }
    ) == [
        ("NAK response p50", "4.15 µs"),
        ("late", "80 ms"),
        ("others", "20.3 Gb/s"),
        ("message", "1 MiB"),
        ("ECN ratio", "2.50 %"),
        ("status", "200"),
        ("reason ms", "as told"),
    ]
