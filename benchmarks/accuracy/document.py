"""Put what a script of this folder printed into its section of docs/accuracy.md.

    python benchmarks/accuracy/dpi.py --markdown | python benchmarks/accuracy/document.py dpi

A section lies between the lines `<!-- NAME: begin -->` and `<!-- NAME: end -->`; only that is
replaced, and a section that is not there yet is added at the end. `--text` keeps the input's
columns: it becomes a block of plain text. `--page` names another page of docs.
"""

import argparse
import re
import sys
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "accuracy.md"
TITLE = "# Accuracy\n"


def replace_section(name: str, content: str, path: Path = DOCUMENT) -> None:
    """Replace the section `name` of the document by `content`; write only if that changes it."""
    before = path.read_text("utf-8") if path.exists() else TITLE
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    section = f"{begin}\n\n{content.strip()}\n\n{end}"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if len(pattern.findall(before)) > 1:
        raise SystemExit(f"{path}: section {name} is there more than once; keep one")
    after, replaced = pattern.subn(lambda _: section, before)
    if not replaced:
        after = f"{before.rstrip()}\n\n{section}\n"
    if after != before:
        path.write_text(after, "utf-8")


def main() -> None:
    """Read standard input and replace a section by it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="the section, lower case")
    parser.add_argument("--text", action="store_true", help="the input is not Markdown")
    parser.add_argument("--page", default=DOCUMENT.name, help="a page of docs")
    options = parser.parse_args()
    content = sys.stdin.read()
    if not content.strip():
        raise SystemExit(f"section {options.name}: there is no input; {options.page} is unchanged")
    fenced = f"```\n{content.rstrip()}\n```" if options.text else content
    replace_section(options.name, fenced, DOCUMENT.with_name(options.page))


if __name__ == "__main__":
    main()
