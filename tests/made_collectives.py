"""One collective made by the generator and recognised, for the tests of what is read from it."""

from pathlib import Path
from typing import Any

from fabricscope.collectors.synthetic.generator import generate_recipe
from fabricscope.collectors.synthetic.recipe import Recipe
from fabricscope.pipeline.analysis import Options, analyze

Row = dict[str, Any]

FAULTS: dict[str, list[Row]] = {
    "none": [],
    "slow_link": [{"kind": "slow_link", "host": 1, "direction": "up", "rate_gbps": 20.0}],
    "slow_rank": [{"kind": "slow_rank", "host": 1, "late_us": 500.0}],
    "pfc": [{"kind": "pfc", "host": 1, "start_us": 100.0, "storms": 3}],
    "loss": [{"kind": "loss", "where": "fabric", "ratio": 0.002}],
    "loss_before": [{"kind": "loss", "where": "uplink", "ratio": 0.002}],
    "tail_loss": [{"kind": "tail_loss", "flow": {"src": 1}, "message": 1}],
    "ce": [{"kind": "ce", "where": "fabric", "ratio": 0.05}],
    "reorder": [{"kind": "reorder", "where": "fabric", "ratio": 0.01}],
}


def only_collective(folder: Path, hosts: int, fault: str, **workload: Any) -> Row:
    """Return what is found of one workload (the keys of a recipe's) among `hosts`."""
    recipe = Recipe.model_validate(
        {
            "name": "made",
            "network": {"hosts": hosts, "link_gbps": 100.0, "latency_us": 4.0},
            "transport": {"out_of_order": "tolerate" if fault == "reorder" else "nak"},
            "capture": {"snaplen": 128},
            "workloads": [{"iterations": 6, "compute_us": 100.0, **workload}],
            "faults": FAULTS[fault],
        }
    )
    generate_recipe(recipe, str(folder / "made.pcap"))
    result = analyze([str(folder / "made.pcap")], Options(), lambda *_: None).collectives
    (found,) = result.collectives
    assert found["iterations"] == 6
    return found
