"""Writing to a terminal, a file or a pipe: encodings, widths, tables. What is said is elsewhere.

Everything goes out as rich `Text`, so that brackets in names are never taken for markup, and is
neutralised first, so that names from packets cannot command the terminal.
"""

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from fabricscope.dashboard.columns import Table
from fabricscope.dashboard.plain_text import neutralise
from fabricscope.dashboard.quantities import UNKNOWN

SEVERITY_STYLES: Final = {
    "critical": "bold red",
    "warning": "bold yellow",
    "notice": "bold cyan",
    "info": "bold",
    "ok": "bold green",
    "empty": "bold yellow",
}
_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_DRAWN: Final = "░▒▓█╭╮╰╯─═▶↔→"
"""Characters of drawings; without them and the blocks a console gets plain ASCII."""
_ASCII_BLOCKS: Final = "_.-:=+*#"
_ASCII: Final = {"µ": "u", UNKNOWN: "-", "†": "*", "…": "..", "±": "+/-", "·": "|"}
_GAP: Final = 2
_NAME: Final = 21
_NARROWEST: Final = 12


class Screen:
    """A rich console that never fails on a character and knows how wide it is."""

    def __init__(self, console: Console) -> None:
        """Write to `console`."""
        self.console = console
        try:
            (_BLOCKS + _DRAWN + "".join(_ASCII)).encode(console.encoding)
            self.unicode = True
        except (UnicodeEncodeError, LookupError):
            self.unicode = False

    def clean(self, value: object, limit: int = 2000) -> str:
        """Return `value` as one line that this console can show."""
        text = neutralise(value, limit)
        if self.unicode:
            return text
        for character, plain in _ASCII.items():
            text = text.replace(character, plain)
        return text.encode("ascii", "backslashreplace").decode("ascii")

    def text(self, value: object, style: str = "") -> Text:
        """Return clean text in a style."""
        return Text(self.clean(value), style=style)

    def heading(self, title: str, note: str = "") -> None:
        """Start a chapter."""
        self.console.print()
        self.line((title, "bold"), (f"  {note}" if note else "", "dim"))

    def line(
        self, *parts: tuple[object, str], indent: int = 0, hang: int = 0, wrap: bool = True
    ) -> None:
        """Print parts of one line, each a text and its style, broken between words.

        Lines after the first start `hang` further right. Without `wrap` the line may be longer
        than the console, so that it can be copied whole.
        """
        text = Text()
        for value, style in parts:
            text.append(self.clean(value), style)
        if not wrap:
            self.console.print(Text(" " * indent) + text, soft_wrap=True)
            return
        margin = indent
        while text.plain:
            head = text.wrap(self.console, max(_NARROWEST, self.console.width - margin))[0]
            rest = text.plain[len(head) :]
            text = text[len(text) - len(rest.lstrip()) :]
            head.rstrip()
            self.console.print(Text(" " * margin) + head, no_wrap=True, crop=False)
            margin = indent + hang

    def sparkline(self, values: Sequence[float], width: int) -> str:
        """Return the values as a row of blocks, the highest of each stretch."""
        if not values or not max(values):
            return ""
        width = min(width, len(values))
        blocks, most = _BLOCKS if self.unicode else _ASCII_BLOCKS, max(values)
        peaks = [
            max(values[index * len(values) // width : (index + 1) * len(values) // width])
            for index in range(width)
        ]
        return "".join(" " if not peak else blocks[min(7, int(peak / most * 8))] for peak in peaks)

    def table(self, table: Table, unsure: bool) -> None:
        """Print a table: columns of the highest rank are dropped until the rest fits.

        `unsure` marks the columns that lost packets distort.
        """
        mark = self.clean("†") if unsure else ""
        titles = [column.title + (mark if column.unsure else "") for column in table.columns]
        texts = [[self.clean(cell.text, 120) for cell in row] for row in table.rows]
        kept = self._choose_columns(table, titles, texts)
        widths = self._share_width(table, kept, titles, texts)
        shown = RichTable(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
        for index in kept:
            justify = "right" if table.columns[index].numeric else "left"
            shown.add_column(Text(titles[index]), justify=justify, no_wrap=True)  # type: ignore[arg-type]
        for row, cells in zip(texts, table.rows, strict=True):
            shown.add_row(
                *(
                    Text(
                        self._shorten(row[index], widths[index]),
                        "dim" if cells[index].sort in (0, -1) else "",
                    )
                    for index in kept
                )
            )
        self.console.print(shown, crop=False)
        if table.total > len(table.rows):
            more = table.total - len(table.rows)
            self.line((f"{more:,} more, use --json", "dim"))

    def _choose_columns(self, table: Table, titles: list[str], texts: list[list[str]]) -> list[int]:
        kept = [index for index, column in enumerate(table.columns) if column.rank is not None]
        # Long names give way before columns do, down to a width that still tells hosts apart.
        needed = {
            index: _widest(index, titles, texts)
            if table.columns[index].numeric
            else min(_NAME, _widest(index, titles, texts))
            for index in kept
        }
        while sum(needed[index] + _GAP for index in kept) - _GAP > self.console.width:
            worst = max(kept, key=lambda index: (table.columns[index].rank or 0, index))
            if not table.columns[worst].rank:
                break
            kept.remove(worst)
        return kept

    def _share_width(
        self, table: Table, kept: list[int], titles: list[str], texts: list[list[str]]
    ) -> dict[int, int]:
        """Return each kept column's width; the widest texts give way until all fits."""
        widths = {index: _widest(index, titles, texts) for index in kept}
        names = [index for index in kept if not table.columns[index].numeric]
        while names and sum(widths.values()) + _GAP * (len(kept) - 1) > self.console.width:
            widest = max(names, key=lambda index: widths[index])
            if widths[widest] <= _NARROWEST:
                break
            widths[widest] -= 1
        return widths

    def fit(self, text: str, width: int) -> str:
        """Return clean text in exactly `width` cells: shortened, or padded on the right."""
        short = self._shorten(text, width)
        return short + " " * (width - cell_len(short))

    def _shorten(self, text: str, width: int) -> str:
        """Return the text with its middle left out: addresses differ at both ends."""
        if cell_len(text) <= width:
            return text
        ellipsis = self.clean("…")
        tail = (width - len(ellipsis)) // 2
        head = width - len(ellipsis) - tail
        return _take(text, head) + ellipsis + _take(text[::-1], tail)[::-1]


def _take(text: str, width: int) -> str:
    """Return as many leading characters as fill at most `width` cells; some take two."""
    end, used = 0, 0
    while end < len(text) and used + cell_len(text[end]) <= width:
        used += cell_len(text[end])
        end += 1
    return text[:end]


def _widest(index: int, titles: list[str], texts: list[list[str]]) -> int:
    return max(cell_len(titles[index]), *(cell_len(row[index]) for row in texts), 0)
