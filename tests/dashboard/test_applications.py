"""Flows summed up by application and behaviour."""

import pytest
from examples.analysis import empty_document
from examples.training import training_document

from fabricscope.dashboard.applications import list_applications


def test_verdicts_stand_side_by_side_and_bytes_add_up() -> None:
    document = training_document()
    rows = list_applications(document)
    assert [(row["application"], row["behaviour"]) for row in rows] == [
        ("roce_v2", "collective_burst"),
        ("tls", "interactive"),
    ]
    assert sum(row["bytes"] for row in rows) == sum(flow["bytes"] for flow in document["flows"])
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert sum(row["flows"] for row in rows) == len(document["flows"])
    assert (rows[0]["contradicted"], rows[1]["contradicted"]) == (None, 1)
    assert (rows[0]["sources"], rows[1]["sources"]) == ("payload", "handshake")


def test_confidence_is_weighted_by_bytes() -> None:
    document = training_document()
    one, other = document["flows"][:2]
    one.update(bytes=300, application_confidence=1.0, confidence=0.2)
    other.update(bytes=100, application_confidence=0.6, application_source="port", confidence=0.6)
    document["flows"] = [one, other]
    row = list_applications(document)[0]
    assert row["application_confidence"] == pytest.approx(0.9)
    assert row["confidence"] == pytest.approx(0.3)
    assert row["sources"] == "payload, port"


def test_what_is_not_known_stays_unknown() -> None:
    document = training_document()
    for flow in document["flows"]:
        flow.update(application=None, application_source=None, application_confidence=0.0)
        flow.update(behaviour=None, confidence=None)
    (row,) = list_applications(document)
    assert row["application"] == "unknown"
    for key in ("behaviour", "application_confidence", "confidence"):
        assert row[key] is None
    assert list_applications(empty_document()) == []
