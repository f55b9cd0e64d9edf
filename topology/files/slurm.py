"""Slurm's topology.conf (topology/tree): which nodes hang on which switch. A tree, not a fabric.

Read, a switch above others is cabled once to each of them. Written, all that is above the leaves
becomes one switch (one a pod and one above them where there are pods), as Slurm allows one parent.
"""

import re
from collections.abc import Iterator
from typing import Final

from fabricscope.topology.fabric import ENDPOINT_KINDS, SWITCH_KINDS, Fabric
from fabricscope.topology.files.draft import SWITCH, Cable, Draft, Imported
from fabricscope.topology.limits import MAX_DEVICES

__all__ = ["expand_hostlist", "fold_hostlist", "read_slurm", "write_slurm"]

_KEYS: Final = ("switchname", "nodes", "switches", "linkspeed")
_RANGE: Final = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")


def read_slurm(text: str, draft: Draft) -> Imported:
    """Return the tree in `text`. Raises FabricError with the line that is wrong."""
    below: dict[str, tuple[list[str], list[str], str]] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.partition("#")[0].strip()
        where = f"line {number}"
        if not line:
            continue
        fields = _read_fields(draft, line, where)
        name = draft.check_name(fields.get("switchname"), where)
        if name in below:
            draft.fail(where, f"switch {name} was given before; write it on one line")
        lists = [
            list(expand_hostlist(draft, fields.get(key, ""), where))
            for key in ("nodes", "switches")
        ]
        if "linkspeed" in fields:
            draft.note("lines whose LinkSpeed is left out, as Slurm leaves its unit open: {}")
        below[name] = (lists[0], lists[1], where)
    for name, (_, _, where) in below.items():
        draft.add_device(name, where, _find_kind(name, below))
    for name, (nodes, switches, where) in below.items():
        for node in nodes:
            if node in below:
                draft.fail(where, f"{node} is a switch and cannot be one of the Nodes")
            if not draft.knows(node):
                draft.add_device(node, where, "gpu" if node.startswith("gpu") else "host")
            draft.add_cable(Cable(node, name), where)
        for switch in switches:
            if switch not in below:
                draft.fail(where, f"switch {switch} has no line of its own")
            draft.add_cable(Cable(switch, name), where)
    return draft.finish("slurm")


def _find_kind(name: str, below: dict[str, tuple[list[str], list[str], str]]) -> str:
    """Return the kind by the levels below a switch, which a tree states outright."""
    level = 0
    seen = {name}
    here = [name]
    while here and level < 3:
        here = [one for switch in here for one in below.get(switch, ([], [], ""))[1]]
        here = [one for one in dict.fromkeys(here) if one not in seen]
        seen.update(here)
        level += bool(here)
    return SWITCH_KINDS[level] if level < len(SWITCH_KINDS) else SWITCH


def _read_fields(draft: Draft, line: str, where: str) -> dict[str, str]:
    fields = {}
    for word in line.split():
        key, equals, value = word.partition("=")
        if not equals or key.lower() not in _KEYS:
            draft.fail(
                where, f"{word[:40]!r} is none of SwitchName=, Nodes=, Switches=, LinkSpeed="
            )
        fields[key.lower()] = value
    return fields


def expand_hostlist(draft: Draft, text: str, where: str) -> Iterator[str]:
    """Yield the names of a host list such as tux[0-3,12],login. Raises FabricError.

    Leading zeros are kept; one pair of brackets a name.
    """
    made = 0
    for part in re.findall(r"[^,\[]+(?:\[[^\]]*\][^,\[]*)?|\[.*", text):
        head, bracket, rest = part.partition("[")
        if not bracket:
            yield draft.check_name(part, where)
            continue
        inner, closing, tail = rest.partition("]")
        if not closing or not head or "[" in tail:
            draft.fail(where, f"{part[:40]!r} is no host list such as tux[0-3,12]")
        for piece in inner.split(","):
            found = _RANGE.fullmatch(piece)
            first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
            made += last - first + 1
            if not found or last < first or made > MAX_DEVICES:
                draft.fail(where, f"{piece[:40]!r} is no range of numbers that can be read")
            for number in range(first, last + 1):
                yield draft.check_name(f"{head}{number:0{len(found[1])}d}{tail}", where)


def fold_hostlist(names: list[str]) -> str:
    """Return names as a host list, runs of numbers folded: host[0-15,18]."""
    runs: dict[str, list[int]] = {}
    for name in names:
        found = re.fullmatch(r"(.*?)(0|[1-9]\d{0,8})", name)
        if found:
            runs.setdefault(found[1], []).append(int(found[2]))
        else:
            runs[name] = []
    parts = []
    for head, numbers in runs.items():
        pieces: list[list[int]] = []
        for number in sorted(set(numbers)):
            if pieces and pieces[-1][1] == number - 1:
                pieces[-1][1] = number
            else:
                pieces.append([number, number])
        inner = ",".join(str(a) if a == b else f"{a}-{b}" for a, b in pieces)
        single = len(pieces) == 1 and pieces[0][0] == pieces[0][1]
        parts.append(f"{head}{inner}" if single or not pieces else f"{head}[{inner}]")
    return ",".join(parts)


def write_slurm(fabric: Fabric) -> tuple[str, tuple[str, ...]]:
    """Return `fabric` as a tree, and notes on what a tree cannot say.

    Slurm's nodes are servers: GPUs of one server become server0 and so on. A node stands below the
    first of its leaves; nodes with the same leaves share it, so a rail unit is one switch.
    """
    leaves: dict[int, set[int]] = {}
    for link in fabric.links:
        for end, other in ((link.a, link.b), (link.b, link.a)):
            if fabric.devices[end].kind in ENDPOINT_KINDS and fabric.devices[other].tier:
                leaves.setdefault(end, set()).add(other)
    nodes: dict[str, set[int]] = {}
    pods: dict[str, int] = {}
    for end in fabric.endpoints.tolist():
        device = fabric.devices[end]
        name = f"server{device.server}" if device.server >= 0 else device.name
        nodes.setdefault(name, set()).update(leaves.get(end, ()))
        pods[name] = device.pod
    groups: dict[tuple[int, ...], list[str]] = {}
    for name, switches in nodes.items():
        groups.setdefault(tuple(sorted(switches)), []).append(name)
    lines = []
    by_pod: dict[int, list[str]] = {}
    for key, members in groups.items():
        leaf = fabric.devices[key[0]].name if key else "unattached"
        lines.append(f"SwitchName={leaf} Nodes={fold_hostlist(members)}")
        by_pod.setdefault(pods[members[0]], []).append(leaf)
    tops = []
    for pod, members in by_pod.items():
        top = f"spines-of-pod{pod}" if len(by_pod) > 1 else "spines"
        lines.append(f"SwitchName={top} Switches={fold_hostlist(members)}")
        tops.append(top)
    if len(tops) > 1:
        lines.append(f"SwitchName=cores Switches={fold_hostlist(tops)}")
    lost = "a tree has one path only: parallel spines, cores and links are one switch each"
    return "\n".join([*lines, ""]), (lost,)
