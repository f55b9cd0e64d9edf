"""Writes the generated part of docs/recovery.md: every scheme with its parameters and sources.

`python docs/recovery_tables.py`, after a change of a scheme. A test fails when this would change
anything.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from fabricscope.topology.availability.rates import Cluster, Rates
from fabricscope.topology.recovery.durations import Duration
from fabricscope.topology.recovery.parameters import Parameters
from fabricscope.topology.recovery.registry import SCHEMES, describe_parameters

PAGE = Path(__file__).resolve().parent / "recovery.md"
_TIMES = ((3.6e12, "h"), (6e10, "min"), (1e9, "s"), (1e6, "ms"), (1e3, "us"))


def render(page: str) -> str:
    """Return the page with its generated parts made anew."""
    parts = {"schemes": "\n".join(_schemes()), "rates": "\n".join(_rates())}
    for name, text in parts.items():
        begin, end = f"<!-- {name}: generated -->\n", f"<!-- {name}: end -->"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise SystemExit(f"{PAGE} needs the marks of the part {name} once each.")
        before, rest = page.split(begin)
        page = f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}"
    return page


def _schemes() -> Iterator[str]:
    """Yield a section for each set of parameters, named by the schemes that share it."""
    families: dict[type[Parameters], list[str]] = {}
    for name, entry in SCHEMES.items():
        families.setdefault(entry.parameters, []).append(name)
    for names in families.values():
        yield f"### {', '.join(f'`{name}`' for name in names)}\n"
        for name in names:
            yield f"- `{name}`: {SCHEMES[name].summary}{_variant(name)}"
        rows = list(_rows(names[0]))
        if rows:
            yield "\n| parameter | `asic` | `frr` | meaning | source |\n|---|---|---|---|---|"
            yield from rows
        yield ""


def _variant(name: str) -> str:
    values = {parameter.name: parameter for parameter in describe_parameters(name)}
    changed = [
        f"`{key}` {_value(values[key].value, values[key].unit)}" for key in SCHEMES[name].variant
    ]
    return f" ({', '.join(changed)})" if changed else ""


def _rows(name: str) -> Iterator[str]:
    measured = {parameter.name: parameter for parameter in describe_parameters(name, "frr")}
    for asic in describe_parameters(name, "asic"):
        frr = measured[asic.name]
        same = frr.value == asic.value
        source = asic.source if same else f"{asic.source}; frr: {frr.source}"
        shown = "" if same else _value(frr.value, frr.unit)
        yield (
            f"| `{asic.name}` | {_value(asic.value, asic.unit)} | {shown} | {asic.description} "
            f"| {source} |"
        )


def _rates() -> Iterator[str]:
    yield "| key | default | unit | meaning | source |\n|---|---|---|---|---|"
    for model in (Rates, Cluster):
        values = model().model_dump()
        for key, info in model.model_fields.items():
            about = info.json_schema_extra
            assert isinstance(about, dict)
            unit = "" if about["unit"] == "ns" else about["unit"]
            yield (
                f"| `{key}` | {_value(values[key], str(about['unit']))} | {unit} "
                f"| {info.description} | {about['source']} |"
            )


def _value(value: object, unit: str) -> str:
    if unit == "ns" and isinstance(value, list | tuple | Duration):
        return " .. ".join(map(_time, value))
    if unit == "ns" and isinstance(value, int | float):
        return _time(value)
    if value in ("", None):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _time(time_ns: float) -> str:
    for size, unit in _TIMES:
        if time_ns >= size:
            return f"{time_ns / size:.4g} {unit}"
    return f"{time_ns:.4g} ns" if time_ns else "0"


if __name__ == "__main__":
    old = PAGE.read_text(encoding="utf-8")
    new = re.sub(r"[ \t]+$", "", render(old), flags=re.MULTILINE)
    if new != old:
        PAGE.write_text(new, encoding="utf-8")
        print(f"{PAGE.name} rewritten", file=sys.stderr)
