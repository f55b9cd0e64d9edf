"""pcapng: sections and interfaces; the packet blocks between them are walked by the kernel.

Source: draft-ietf-opsawg-pcapng.
"""

from collections.abc import Iterator
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.capture import layout
from fabricscope.collectors.capture.formats import PCAPNG_BIG, PCAPNG_LITTLE
from fabricscope.collectors.capture.pcap.walker import canonical_link_type
from fabricscope.collectors.capture.pcapng.kernels import find_block, walk_pcapng
from fabricscope.collectors.capture.source import Window
from fabricscope.collectors.capture.walker import LARGEST_RECORD_LIMIT, Walker
from fabricscope.records import Packets

OPTION_IF_NAME: Final = 2
OPTION_IF_DESCRIPTION: Final = 3
OPTION_IF_TSRESOL: Final = 9
OPTION_IF_TSOFFSET: Final = 14
DEFAULT_EXPONENT: Final = 6
SECTION_BODY_BYTES: Final = 28
INTERFACE_BODY_BYTES: Final = 20
MAX_INTERFACES: Final = 65_536
MAX_TAPS: Final = 4_096
MAX_NAME_CHARACTERS: Final = 128

ByteOrder = Literal["little", "big"]

TapKey = tuple[tuple[tuple[int, bytes], ...], int, int, str]
"""What makes two interfaces of one file the same: section options, number, link type, name."""


class PcapngWalker(Walker):
    """Reads one pcapng file; every interface is a tap.

    The same interface of a later section with the same section options is the same tap.
    """

    def __init__(self, name: str, first_tap: int) -> None:
        """Take the name of the file, for interfaces that have none."""
        super().__init__(first_tap)
        self._file_name = name
        self._order: ByteOrder = "little"
        self._big_endian: bool | None = None
        self._section: tuple[tuple[int, bytes], ...] = ()
        self._interfaces = np.zeros((16, layout.IF_COLUMNS), np.int64)
        self._tap_numbers: dict[TapKey, int] = {}
        self.layout[layout.RECORD_LIMIT] = LARGEST_RECORD_LIMIT

    def run_kernel(self, view: NDArray[np.uint8], packets: Packets) -> None:
        """Append rows from `state[POSITION]` on."""
        walk_pcapng(view, *packets[:7], self.layout, self._big_endian, self._interfaces, self.state)

    def find_record(self, view: NDArray[np.uint8], start: int, scan_stop: int, stop: int) -> int:
        """Return the offset of the next believable packet block in [start, scan_stop), or -1."""
        return int(find_block(view, start, scan_stop, stop, self.layout, self._big_endian))

    def here(self) -> str:
        """Name the block at hand by the record before it."""
        return f"the block after record {int(self.state[layout.FRAME]):,}"

    def pass_obstacle(self, window: Window) -> None:
        """Read a block that is no packet's, or pass over damage."""
        if self.state[layout.STATUS] == layout.BLOCK:
            self._read_block(window)
        else:
            self.pass_over_damage(window)

    def _read_block(self, window: Window) -> None:
        """Take in the section header or interface description at `state[POSITION]`."""
        at = int(self.state[layout.POSITION])
        head = window.view[at : at + 12].tobytes()
        is_section = head[:4] == layout.SECTION_HEADER.to_bytes(4, "little")
        order = self._order
        if is_section:
            if head[8:12] not in (PCAPNG_LITTLE, PCAPNG_BIG):
                self.pass_over_damage(window)
                return
            order = "little" if head[8:12] == PCAPNG_LITTLE else "big"
        length = int.from_bytes(head[4:8], order)
        padded = (length + 3) & ~3
        least = SECTION_BODY_BYTES if is_section else INTERFACE_BODY_BYTES
        if length < least or length > LARGEST_RECORD_LIMIT:
            self.pass_over_damage(window)
            return
        if at + padded > window.stop:
            if window.final:
                self.end_cut(window, self.here())
            else:
                self.need_bytes = padded
            return
        block = window.view[at : at + padded].tobytes()
        if int.from_bytes(block[-4:], order) != length:
            self.pass_over_damage(window)
            return
        if is_section:
            self._start_section(block, order)
        else:
            self._add_interface(block)
        self.state[layout.POSITION] = at + padded

    def _start_section(self, block: bytes, order: ByteOrder) -> None:
        """Forget the interfaces of the section before and take over the byte order."""
        self._order = order
        self._section = tuple(read_options(block[24:-4], order))
        self._big_endian = True if order == "big" else None
        self.layout[layout.INTERFACES] = 0

    def _add_interface(self, block: bytes) -> None:
        """Append a row to the interface table; records of interfaces beyond the bound are lost."""
        number = int(self.layout[layout.INTERFACES])
        if number == MAX_INTERFACES:
            return
        if number == len(self._interfaces):
            self._interfaces = np.concatenate((self._interfaces, np.zeros_like(self._interfaces)))
        names = {OPTION_IF_NAME: "", OPTION_IF_DESCRIPTION: ""}
        row = self._interfaces[number]
        row[layout.IF_EXPONENT] = DEFAULT_EXPONENT
        row[layout.IF_BINARY] = 0
        row[layout.IF_OFFSET_S] = 0
        for code, value in read_options(block[16:-4], self._order):
            if code in names:
                names[code] = printable(value)
            elif code == OPTION_IF_TSRESOL and len(value) == 1:
                row[layout.IF_EXPONENT] = value[0] & 0x7F
                row[layout.IF_BINARY] = value[0] >> 7
            elif code == OPTION_IF_TSOFFSET and len(value) == 8:
                row[layout.IF_OFFSET_S] = int.from_bytes(value, self._order, signed=True)
        link_type = canonical_link_type(int.from_bytes(block[8:10], self._order))
        row[layout.IF_LINK_TYPE] = link_type
        row[layout.IF_SNAP_LENGTH] = int.from_bytes(block[12:16], self._order)
        name = names[OPTION_IF_NAME] or names[OPTION_IF_DESCRIPTION]
        row[layout.IF_TAP] = self.first_tap + self._tap_number(number, link_type, name)
        self.layout[layout.INTERFACES] = number + 1

    def _tap_number(self, interface: int, link_type: int, name: str) -> int:
        """Return the index into `taps` of an interface; beyond the bound all share the last."""
        key = (self._section, interface, link_type, name)
        known = self._tap_numbers.get(key)
        if known is not None:
            return known
        if len(self.taps) == MAX_TAPS:
            return MAX_TAPS - 1
        if not name:
            name = self._file_name if interface == 0 else f"{self._file_name} #{interface}"
        self._tap_numbers[key] = len(self.taps)
        self.taps.append(name)
        return len(self.taps) - 1


def read_options(area: bytes, order: ByteOrder) -> Iterator[tuple[int, bytes]]:
    """Yield code and value of each option; stops at the first that does not fit."""
    at = 0
    while at + 4 <= len(area):
        code = int.from_bytes(area[at : at + 2], order)
        length = int.from_bytes(area[at + 2 : at + 4], order)
        if code == 0 or at + 4 + length > len(area):
            return
        yield code, area[at + 4 : at + 4 + length]
        at += 4 + ((length + 3) & ~3)


def printable(value: bytes) -> str:
    """Return text from a file with a bound on its length and nothing a terminal would obey."""
    text = value[: 4 * MAX_NAME_CHARACTERS].rstrip(b"\0").decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "\ufffd" for c in text[:MAX_NAME_CHARACTERS])
