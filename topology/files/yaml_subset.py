"""As much of YAML as containerlab files use: block and flow collections, scalars, comments.

Anchors, aliases, tags and several documents are refused by name, not misread. All scalars are
text; block scalars (| and >) are joined with line ends.
"""

import re
from typing import Final, NamedTuple, NoReturn

from fabricscope.errors import FabricError

__all__ = ["parse_yaml"]

_DEEPEST: Final = 40
_LINE_LIMIT: Final = 10_000
_KEY: Final = re.compile(
    r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s#'"\[\]{},&*!|>%@`-][^#]*?|-[^\s#][^#]*?)"""
    r"""\s*:(?:\s+(.*))?$"""
)
_TEXT_BLOCK: Final = re.compile(r"[|>][+-]?\d?[+-]?(\s+#.*)?")
_PLAIN_END: Final = re.compile(r"\s#")
_FLOW_PLAIN: Final = re.compile(r"(?:[^,\[\]{}\"':#]|:(?![\s,\[\]{}]|$)|(?<=\S)#)+")
_DOUBLE: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_SINGLE: Final = re.compile(r"'((?:[^']|'')*)'")
_OPEN: Final = "has a bracket that does not close"


class _Line(NamedTuple):
    number: int
    indent: int
    text: str


def parse_yaml(text: str, source: str) -> object:
    """Return the document: dicts, lists and strings; a key without a value has "".

    Raises FabricError with the line that cannot be read.
    """
    lines = []
    for number, raw in enumerate(text.splitlines(), 1):
        stripped = raw.strip()
        if not stripped or stripped.startswith("#") or stripped in ("---", "..."):
            continue
        where = f"{source}: line {number}"
        if len(raw) > _LINE_LIMIT:
            raise FabricError(f"{where}: is longer than {_LINE_LIMIT:,} characters")
        indent = len(raw) - len(raw.lstrip(" "))
        if raw[indent] == "\t":
            raise FabricError(f"{where}: YAML is indented with spaces, not with tabs")
        lines.append(_Line(number, indent, stripped))
    if not lines:
        return {}
    parser = _Parser(lines, source)
    value = parser.read_block(lines[0].indent, 0)
    if parser.place < len(lines):
        parser.fail(lines[parser.place], "is indented unlike what it belongs to")
    return value


class _Parser:
    def __init__(self, lines: list[_Line], source: str) -> None:
        self.lines = lines
        self.source = source
        self.place = 0

    def fail(self, line: _Line, what: str) -> NoReturn:
        raise FabricError(f"{self.source}: line {line.number}: {line.text[:40]!r} {what}")

    def read_block(self, indent: int, depth: int) -> object:
        """Read the mapping or the sequence whose lines are indented by `indent`."""
        line = self.lines[self.place]
        if depth > _DEEPEST:
            self.fail(line, f"is nested more than {_DEEPEST} deep")
        if _is_item(line):
            return self._read_sequence(indent, depth)
        if line.text[0] in "[{":
            self.place += 1
            return self._read_scalar(line.text, line, indent)
        return self._read_mapping(indent, depth)

    def _read_sequence(self, indent: int, depth: int) -> list[object]:
        items: list[object] = []
        while self.place < len(self.lines):
            line = self.lines[self.place]
            if line.indent != indent or not _is_item(line):
                break
            rest = line.text[1:].lstrip()
            if not rest or rest.startswith("#"):
                self.place += 1
                items.append(self._read_nested(indent, depth, line))
            elif rest.startswith("- ") or (rest[0] not in "[{" and _KEY.match(rest)):
                # The item begins on the dash's line: what follows is a block of its own.
                inner = indent + len(line.text) - len(rest)
                self.lines[self.place] = _Line(line.number, inner, rest)
                items.append(self.read_block(inner, depth + 1))
            else:
                self.place += 1
                items.append(self._read_scalar(rest, line, indent))
        return items

    def _read_mapping(self, indent: int, depth: int) -> dict[str, object]:
        items: dict[str, object] = {}
        while self.place < len(self.lines):
            line = self.lines[self.place]
            if line.indent != indent or _is_item(line):
                break
            found = _KEY.match(line.text)
            if not found:
                self.fail(line, "is no KEY: VALUE of the YAML that is read here")
            key = str(self._read_scalar(found[1], line, indent))
            if key in items:
                self.fail(line, "gives a key a second time")
            self.place += 1
            rest = found[2] or ""
            if not rest or rest.startswith("#"):
                items[key] = self._read_nested(indent, depth, line)
            else:
                items[key] = self._read_scalar(rest, line, indent)
        return items

    def _read_nested(self, indent: int, depth: int, line: _Line) -> object:
        if self.place == len(self.lines):
            return ""
        below = self.lines[self.place]
        # A sequence may stand at the indent of its key.
        level = below.indent == indent and _is_item(below) and not _is_item(line)
        if below.indent > indent or level:
            return self.read_block(below.indent, depth + 1)
        return ""

    def _read_scalar(self, text: str, line: _Line, indent: int) -> object:
        if text[0] in "|>" and _TEXT_BLOCK.fullmatch(text):
            return self._read_text_block(indent)
        if text[0] in "&*!%@`":
            self.fail(line, "uses an anchor, alias or tag, which is not read here; write it out")
        if text[0] in "[{":
            text = self._join_flow(text, line)
        if text[0] in "[{\"'":
            value, end = self._read_flow_value(text, 0, line, 0)
            rest = text[end:].lstrip()
            if rest and not rest.startswith("#"):
                self.fail(line, "goes on behind its closing bracket or quote")
            return value
        return _PLAIN_END.split(text, maxsplit=1)[0].strip()

    def _join_flow(self, text: str, line: _Line) -> str:
        """Return a flow collection whole, with the lines below that it goes on in."""
        depth = _count_open(text)
        parts = [text]
        length = len(text)
        while depth > 0 and self.place < len(self.lines) and length <= _LINE_LIMIT:
            below = _PLAIN_END.split(self.lines[self.place].text, maxsplit=1)[0]
            parts.append(below)
            depth += _count_open(below)
            length += len(below)
            self.place += 1
        if length > _LINE_LIMIT:
            self.fail(line, f"goes on for more than {_LINE_LIMIT:,} characters")
        return " ".join(parts)

    def _read_text_block(self, indent: int) -> str:
        texts = []
        while self.place < len(self.lines) and self.lines[self.place].indent > indent:
            texts.append(self.lines[self.place].text)
            self.place += 1
        return "\n".join(texts)

    def _read_quoted(self, text: str, start: int, line: _Line) -> tuple[str, int]:
        double = text[start] == '"'
        found = (_DOUBLE if double else _SINGLE).match(text, start)
        if not found:
            self.fail(line, "has a quote that does not end on its line")
        inner = re.sub(r"\\(.)", r"\1", found[1]) if double else found[1].replace("''", "'")
        return inner, found.end()

    def _read_flow(self, text: str, start: int, line: _Line, depth: int) -> tuple[object, int]:
        """Read the flow collection at `start`; return it and where it ends."""
        if depth > _DEEPEST:
            self.fail(line, f"is nested more than {_DEEPEST} deep")
        is_list = text[start] == "["
        closing = "]" if is_list else "}"
        items: list[object] = []
        pairs: dict[str, object] = {}
        place = start + 1
        while True:
            place = self._skip_spaces(text, place, line)
            if text[place] == closing:
                return (items if is_list else pairs), place + 1
            value, place = self._read_flow_value(text, place, line, depth)
            place = self._skip_spaces(text, place, line)
            if is_list:
                items.append(value)
            else:
                if text[place] != ":":
                    self.fail(line, "needs KEY: VALUE between { and }")
                place = self._skip_spaces(text, place + 1, line)
                pairs[str(value)], place = self._read_flow_value(text, place, line, depth)
                place = self._skip_spaces(text, place, line)
            if text[place] == ",":
                place += 1
            elif text[place] != closing:
                self.fail(line, _OPEN)

    def _read_flow_value(
        self, text: str, place: int, line: _Line, depth: int
    ) -> tuple[object, int]:
        if text[place] in "[{":
            return self._read_flow(text, place, line, depth + 1)
        if text[place] in "\"'":
            return self._read_quoted(text, place, line)
        found = _FLOW_PLAIN.match(text, place)
        if not found or text[place] in "&*!":
            self.fail(line, "holds something that is not read here; put it in quotes")
        return found[0].strip(), found.end()

    def _skip_spaces(self, text: str, place: int, line: _Line) -> int:
        while place < len(text) and text[place] == " ":
            place += 1
        if place == len(text):
            self.fail(line, _OPEN)
        return place


def _count_open(text: str) -> int:
    """Return how many more brackets open than close, outside quotes."""
    bare = _SINGLE.sub("", _DOUBLE.sub("", text))
    return sum(bare.count(one) for one in "[{") - sum(bare.count(one) for one in "]}")


def _is_item(line: _Line) -> bool:
    return line.text == "-" or line.text.startswith("- ")
