"""The catalogue against nDPI's labels, by the same script that makes the published table."""

import importlib.util
import os
from collections import Counter
from pathlib import Path

import pytest

from fabricscope.errors import CaptureError


@pytest.mark.slow
@pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="takes minutes with kernels not compiled"
)
def test_agreement_with_ndpi(captures: Path, repository: Path) -> None:
    path = repository / "benchmarks" / "accuracy" / "dpi.py"
    specification = importlib.util.spec_from_file_location("accuracy_dpi", path)
    assert specification is not None
    assert specification.loader is not None
    score = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(score)
    total: Counter[str] = Counter()
    for result in sorted((captures / "ndpi" / "result").glob("*.out")):
        name = result.name.removesuffix(".out")
        try:
            found = score.name_flows(captures / "ndpi" / "pcap" / name)
        except CaptureError:
            found = {}
        total.update(score.judge(label, found)[0] for label in score.read_labels(result))
    flows = sum(total.values())
    covered = flows - total["uncovered"]
    assert flows > 3_000
    assert covered >= 0.9 * flows
    assert total["agreed"] >= 0.95 * covered
    assert total["wrong"] <= 0.01 * covered
