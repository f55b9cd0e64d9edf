"""Captures that the tests of the pipeline share, and how they read them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest
from examples.analyses import Analyze

from fabricscope.collectors.synthetic import generate
from fabricscope.pipeline.analysis import Options, analyze
from fabricscope.pipeline.document import build_document


@pytest.fixture(scope="session")
def load_capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a capture of 100,000 RDMA packets with faults: several batches."""
    path = tmp_path_factory.mktemp("load") / "load.pcap"
    generate("load-faults", str(path))
    return path


@pytest.fixture
def document_of() -> Analyze:
    """Return a function from captures and options to the document, as strict JSON has it."""

    def run(*paths: str | Path, **options: Any) -> dict[str, Any]:
        captures: Sequence[str] = [str(path) for path in paths]
        analysis = analyze(list(captures), Options(**options), lambda done, total: None)
        text = json.dumps(build_document(analysis), allow_nan=False)
        document: dict[str, Any] = json.loads(text, parse_constant=_refuse)
        return document

    return run


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
