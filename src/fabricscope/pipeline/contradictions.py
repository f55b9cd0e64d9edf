"""Kept flows whose payload and behaviour contradict each other, for those who read a store."""

import dataclasses
from typing import Any

import polars as pl

from fabricscope.analyzers.behaviour.contradictions import contradictions

__all__ = ["find_contradictions"]


def find_contradictions(flows: pl.DataFrame) -> list[dict[str, Any]]:
    """Return what contradicts itself among rows of the table flows, most bytes first.

    Each with subject, text, action, evidence, packets and filter, as findings of `analyze` have.
    """
    found = sorted(contradictions(flows), key=lambda one: -one.weight)
    return [dataclasses.asdict(one) for one in found]
