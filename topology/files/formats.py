"""The file formats of fabrics: which there are, how a file's is recognised, opening and writing.

Readers take text and writers return it; only this module touches files.
"""

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from fabricscope.errors import FabricError
from fabricscope.topology.fabric import Fabric
from fabricscope.topology.files.containerlab import read_containerlab, write_containerlab
from fabricscope.topology.files.draft import Draft, Imported
from fabricscope.topology.files.graphml import read_graphml, write_graphml
from fabricscope.topology.files.htsim import Pair, read_matrix, read_topo, write_topo
from fabricscope.topology.files.ibnetdiscover import read_ibnetdiscover, write_ibnetdiscover
from fabricscope.topology.files.lldp import parse_json, read_lldp, read_lldp_outputs, write_lldp
from fabricscope.topology.files.native import read_native, write_native
from fabricscope.topology.files.netjson import read_netjson, write_netjson
from fabricscope.topology.files.slurm import read_slurm, write_slurm

__all__ = ["FORMATS", "Format", "read_fabric", "read_pairs", "render_fabric", "write_fabric"]

SIZE_LIMIT: Final = 128 << 20
FILES_LIMIT: Final = 20_000
"""Most files of a folder of LLDP outputs."""
_HEAD: Final = 4_096

Rendered = tuple[str, tuple[str, ...]]


class Format(NamedTuple):
    """read: from text and an empty draft; write: text and notes on what the format cannot say.

    suffixes: ends of file names; marks: texts near the beginning that no other format has.
    """

    about: str
    suffixes: tuple[str, ...]
    marks: tuple[str, ...]
    read: Callable[[str, Draft], Imported]
    write: Callable[[Fabric], Rendered]


def _read_lldp(text: str, draft: Draft) -> Imported:
    return read_lldp(text, draft, _stem(Path(draft.source).name))


def _stem(name: str) -> str:
    return name.removesuffix(".json") or name


def _whole(write: Callable[[Fabric], str]) -> Callable[[Fabric], Rendered]:
    return lambda fabric: (write(fabric), ())


FORMATS: Final[dict[str, Format]] = {
    "toml": Format(
        "the project's own, nothing lost", (".toml",), (), read_native, _whole(write_native)
    ),
    "containerlab": Format(
        "containerlab topology", (".clab.yml", ".clab.yaml", ".yml", ".yaml"), ("topology:",),
        read_containerlab, write_containerlab,
    ),
    "slurm": Format(
        "Slurm's topology.conf", (".conf",), ("SwitchName=", "switchname="),
        read_slurm, write_slurm,
    ),
    "ibnetdiscover": Format(
        "output of ibnetdiscover", (".ibnetdiscover",), ("Topology file: generated", "vendid=",
        'Switch\t', 'Ca\t'), read_ibnetdiscover, write_ibnetdiscover,
    ),
    "netjson": Format(
        "NetJSON NetworkGraph", (".netjson",), ("NetworkGraph",),
        read_netjson, _whole(write_netjson),
    ),
    "lldp": Format(
        "lldpctl -f json, one or many", (".lldp.json",), ('"lldp"',), _read_lldp, write_lldp
    ),
    "graphml": Format(
        "GraphML", (".graphml",), ("<graphml",), read_graphml, _whole(write_graphml)
    ),
    "htsim": Format(
        "htsim .topo", (".topo",), ("Podsize", "podsize"),
        read_topo, lambda fabric: write_topo(fabric, Draft(fabric.name)),
    ),
}  # fmt: skip
"""By name; a file is recognised by its suffix first, then by its marks, in this order."""


def read_fabric(path: Path, rate_gbps: float = 400.0, name: str = "") -> Imported:
    """Return the fabric in the file `path`, or in a folder of LLDP outputs.

    rate_gbps: for links whose rate the file does not state; name: of the format, "" to recognise
    it. Raises FabricError with the file and the line or key.
    """
    if path.is_dir():
        return _read_folder(path, rate_gbps)
    text = _open(path)
    draft = Draft(str(path), rate_gbps)
    chosen = _find_format(name) if name else _recognise(path, text)
    return chosen.read(text, draft)


def read_pairs(path: Path) -> tuple[int, tuple[Pair, ...], tuple[str, ...]]:
    """Return endpoints, transfers and notes of the htsim traffic matrix (.cm) `path`.

    Raises FabricError with the line that is wrong.
    """
    draft = Draft(str(path))
    nodes, pairs = read_matrix(_open(path), draft)
    return nodes, pairs, draft.list_notes()


def render_fabric(fabric: Fabric, path: str, name: str = "") -> Rendered:
    """Return `fabric` as text in the format `name`, or that of `path`'s suffix, and notes.

    Raises FabricError when neither names a format, or the format cannot hold this fabric.
    """
    chosen = _find_format(name) if name else _by_suffix(path)
    if chosen is None:
        known = ", ".join(f"{key} ({one.suffixes[0]})" for key, one in FORMATS.items())
        raise FabricError(f"{path}: no format has this suffix; use --format, one of {known}")
    return chosen.write(fabric)


def write_fabric(fabric: Fabric, path: Path, name: str = "") -> tuple[str, ...]:
    """Write `fabric` to `path`; return notes on what the format cannot say.

    Raises FabricError as `render_fabric`, and when the file cannot be written.
    """
    text, notes = render_fabric(fabric, path.name, name)
    try:
        path.write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FabricError(f"{path} cannot be written ({reason}); name another file") from error
    return notes


def _open(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(SIZE_LIMIT + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FabricError(f"{path} cannot be opened ({reason}); name a file of a fabric") from error
    if len(content) > SIZE_LIMIT:
        raise FabricError(f"{path} is larger than {SIZE_LIMIT >> 20} MiB; no fabric needs that")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FabricError(
            f"{path}: byte {error.start} is no UTF-8 text; is this the file of a fabric?"
        ) from error


def _read_folder(path: Path, rate_gbps: float) -> Imported:
    files = sorted(path.glob("*.json"))
    if not files or len(files) > FILES_LIMIT:
        raise FabricError(
            f"{path} holds {len(files):,} .json files; name a folder with the output of lldpctl "
            f"-f json of each device, at most {FILES_LIMIT:,}"
        )
    outputs = {_stem(one.name): parse_json(_open(one), Draft(str(one))) for one in files}
    return read_lldp_outputs(outputs, Draft(str(path), rate_gbps))


def _find_format(name: str) -> Format:
    if name in FORMATS:
        return FORMATS[name]
    close = difflib.get_close_matches(name, FORMATS, 1, 0.5)
    meant = f"did you mean {close[0]}?" if close else f"known are {', '.join(FORMATS)}"
    raise FabricError(f"no format is called {name[:40]!r}; {meant}")


def _by_suffix(path: str) -> Format | None:
    name = path.lower()
    found = [
        (len(suffix), one)
        for one in FORMATS.values()
        for suffix in one.suffixes
        if name.endswith(suffix)
    ]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _recognise(path: Path, text: str) -> Format:
    found = _by_suffix(path.name)
    if found is not None:
        return found
    head = text[:_HEAD]
    for one in FORMATS.values():
        if any(mark in head for mark in one.marks):
            return one
    raise FabricError(
        f"{path}: the format is not recognised; say which with --format, "
        f"one of {', '.join(FORMATS)}"
    )
