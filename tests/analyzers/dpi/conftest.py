"""Fixtures for the tests of deep packet inspection."""

import pytest

from fabricscope.analyzers.dpi.tables import CompiledSignatures
from fabricscope.pipeline.signatures import load_signatures


@pytest.fixture(scope="session")
def catalogue() -> CompiledSignatures:
    """Return the shipped signatures."""
    return load_signatures()
