"""Contradictions of kept flows: the analyzer's findings, as records."""

import polars as pl

from fabricscope.pipeline.contradictions import find_contradictions
from fabricscope.schemas import schema_of


def test_dns_that_moves_megabytes_is_contradicted() -> None:
    row = dict.fromkeys(schema_of("flows"))
    row |= {"src": "10.0.0.1", "dst": "10.0.0.2", "first_frame": 7, "application": "dns",
            "application_confidence": 0.9, "behaviour": "bulk", "behaviour_confidence": 0.9,
            "behaviour_features": "bytes=9e6", "a_to_b_bytes": 9_000_000,
            "b_to_a_bytes": 0}  # fmt: skip
    usual = {**row, "behaviour": "request_response"}
    (found,) = find_contradictions(pl.DataFrame([row, usual], schema=schema_of("flows")))
    assert found["subject"] == "10.0.0.1 -> 10.0.0.2"
    assert found["packets"] == [7]
    assert "dns by its payload but behaves like bulk" in found["text"]
