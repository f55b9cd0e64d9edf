"""Makes the shipped captures from their recipes and the table in README.md.

Run `python pcaps/make.py` after a change of the generator or of a recipe; the tests check that
this would change nothing.
"""

import gzip
import hashlib
import sys
from pathlib import Path
from typing import Any

from fabricscope.collectors.synthetic import generate, load_recipe
from fabricscope.collectors.synthetic.truth import Truth

FOLDER = Path(__file__).resolve().parent
NOT_SHIPPED = (
    "load",
    "load-faults",
    "demo-healthy",
    "demo-slow-rank",
    "demo-loss",
    "demo-congestion",
)
"""Recipes of captures that are too large to ship."""
BEGIN, END = "<!-- table: made by make.py -->\n", "<!-- end of table -->\n"


def shipped_recipes() -> list[str]:
    """Return the names of the recipes whose captures are shipped, in order."""
    names = sorted(path.stem for path in (FOLDER / "recipes").glob("*.toml"))
    return [name for name in names if name not in NOT_SHIPPED]


def capture_name(recipe: str) -> str:
    """Return a capture's name: whole packets are compressed, cut ones are small as they are."""
    cut = load_recipe(str(FOLDER / "recipes" / f"{recipe}.toml")).capture.snaplen > 0
    return f"{recipe}.pcap" if cut else f"{recipe}.pcap.gz"


def make(recipe: str, folder: Path) -> Truth:
    """Write one recipe's captures and truth to a folder."""
    source = FOLDER / "recipes" / f"{recipe}.toml"
    return generate(str(source), str(folder / capture_name(recipe)))


def checksum(capture: Path) -> str:
    """Return the SHA-256 of a capture's content, decompressed: compressors differ in bytes."""
    content = capture.read_bytes()
    if capture.suffix == ".gz":
        content = gzip.decompress(content)
    return hashlib.sha256(content).hexdigest()


def summary(truth: dict[str, Any], tap: dict[str, Any]) -> str:
    """Return the truth about one capture in a line."""
    parts = [f"{count} {name}" for name, count in tap["kinds"].items()]
    for name in ("retransmissions", "reordered", "ce", "duplicates"):
        count = sum(pair[name] for pair in tap["queue_pairs"])
        if count:
            parts.append(f"{count} {name}")
    if tap["capture_lost_packets"]:
        parts.append(f"{tap['capture_lost_packets']} lost by the mirror")
    for entry in truth["collectives"]:
        parts.append(
            f"{entry['operation']} {entry['algorithm']}, {len(entry['ranks'])} ranks, "
            f"{entry['message_bytes']} B, {entry['iterations']} iterations"
        )
    return "; ".join(parts)


def table(truths: list[dict[str, Any]], folder: Path) -> str:
    """Return the table of all captures as Markdown."""
    lines = ["| capture | recipe | packets | truth | SHA-256 |", "|---|---|---|---|---|"]
    for truth in truths:
        for tap in truth["taps"]:
            lines.append(
                f"| `{tap['file']}` | `{truth['recipe']}` | {tap['packets']} | "
                f"{summary(truth, tap)} | `{checksum(folder / tap['file'])}` |"
            )
    return "\n".join(lines) + "\n"


def main() -> int:
    """Make everything."""
    truths = [make(recipe, FOLDER).content for recipe in shipped_recipes()]
    readme = FOLDER / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    readme.write_text(before + BEGIN + table(truths, FOLDER) + END + after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
