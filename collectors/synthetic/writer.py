"""Rows to a pcap file: encodes them with the kernels and writes whole chunks."""

import gzip
import struct
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.synthetic.recipe import Recipe
from fabricscope.collectors.synthetic.tables import Table
from fabricscope.collectors.synthetic.wire import kernels
from fabricscope.collectors.synthetic.wire.templates import (
    LAYOUT_COLUMNS,
    Template,
    fill_addresses,
    roce_template,
)

NANOSECOND_MAGIC = 0xA1B23C4D
LINKTYPE_ETHERNET = 1
DEFAULT_SNAPLEN = 262_144
WRITE_ROWS = 16_384
MAX_PAYLOAD = 4096


def payload_pattern() -> NDArray[np.uint8]:
    """Return the content of every payload: the first bytes of a fixed sequence."""
    return ((np.arange(MAX_PAYLOAD, dtype=np.int64) * 7 + 3) & 0xFF).astype(np.uint8)


def crc_table() -> NDArray[np.uint32]:
    """Return the 256 words of the reflected CRC-32 with the Ethernet polynomial."""
    words = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        words = np.where(words & 1, (words >> 1) ^ np.uint32(0xEDB88320), words >> 1)
    return words.astype(np.uint32)


class FrameEncoder:
    """Everything that the kernel needs to turn rows of one recipe into bytes."""

    def __init__(
        self, recipe: Recipe, flows: Table, extra: list[Template], payloads: list[bytes]
    ) -> None:
        """Build two templates a flow, followed by `extra`; `payloads` are named by rows."""
        self.flows = flows
        self.snaplen = recipe.capture.snaplen
        data, cnp = roce_template(recipe, cnp=False), roce_template(recipe, cnp=True)
        templates = [template for _ in range(len(flows)) for template in (data, cnp)] + extra
        longest = max(len(template.header) for template in templates)
        self.headers = np.zeros((len(templates), longest), np.uint8)
        self.layout = np.zeros((len(templates), LAYOUT_COLUMNS), np.int64)
        for number, template in enumerate(templates):
            size = len(template.header)
            self.headers[number, :size] = np.frombuffer(template.header, np.uint8)
            self.layout[number] = template.layout
        for number in range(len(flows)):
            src, dst = int(flows["src"][number]), int(flows["dst"][number])
            for offset, template in enumerate((data, cnp)):
                header = self.headers[2 * number + offset]
                fill_addresses(header, template, src, dst, recipe.network.ip_version)
                if recipe.network.roce == 2 and offset == 0:
                    port = int(flows["udp_sport"][number])
                    header[template.udp] = port >> 8
                    header[template.udp + 1] = port & 255
        self.blobs = np.zeros((max(1, len(payloads)), 256), np.uint8)
        for number, payload in enumerate(payloads):
            self.blobs[number, : len(payload)] = np.frombuffer(payload, np.uint8)
        self.pattern = payload_pattern()
        self.crc_table = crc_table()
        self.size_index = np.zeros(MAX_PAYLOAD + 1, np.int64)
        self.payload_crc = np.zeros(1, np.int64)
        self.shifts = np.zeros((1, 4, 256), np.uint32)
        self._known: set[int] = set()

    def _learn_sizes(self, rows: Table) -> None:
        """Prepare the CRC of payload sizes that were not seen before."""
        sizes = np.unique(rows["payload_bytes"][rows["kind"] < 7])
        new = [int(size) for size in sizes if int(size) not in self._known]
        for size in new:
            self._known.add(size)
            self.size_index[size] = len(self.payload_crc)
            padded = np.zeros((size + 3) & ~3, np.uint8)
            padded[:size] = self.pattern[:size]
            state = kernels.crc_bytes(0, padded, 0, len(padded), self.crc_table)
            shifts = np.zeros((1, 4, 256), np.uint32)
            kernels.shift_table(len(padded), self.crc_table, shifts[0])
            self.payload_crc = np.append(self.payload_crc, np.int64(state))
            self.shifts = np.concatenate((self.shifts, shifts))

    def encode(self, rows: Table, times_ns: NDArray[np.int64]) -> bytes:
        """Return pcap records of `rows`; `times_ns` since the epoch."""
        self._learn_sizes(rows)
        lengths = np.empty(len(rows), np.int64)
        kernels.wire_lengths(rows, self.layout, lengths)
        kept = lengths if self.snaplen == 0 else np.minimum(lengths, self.snaplen)
        out = np.empty(int(kept.sum()) + kernels.RECORD_HEADER * len(rows), np.uint8)
        used = kernels.write_records(
            rows, self.flows, times_ns, lengths, self.snaplen, self.headers, self.layout,
            self.pattern, self.blobs, self.crc_table, self.size_index, self.payload_crc,
            self.shifts, out,
        )  # fmt: skip
        return out[:used].tobytes()


class PcapWriter:
    """A capture file with nanosecond time stamps; a name that ends in .gz is compressed."""

    def __init__(self, path: Path, encoder: FrameEncoder) -> None:
        """Note where to write; the file is made on entering."""
        self.path = path
        self.encoder = encoder
        self._raw: IO[bytes] | None = None
        self._file: IO[bytes] | None = None

    def __enter__(self) -> "PcapWriter":
        """Create the file and write its header."""
        self._raw = self.path.open("wb")
        self._file = self._raw
        if self.path.suffix == ".gz":
            # No name and no time in the header: the same recipe gives the same bytes.
            self._file = gzip.GzipFile("", "wb", 9, self._raw, mtime=0)  # type: ignore[assignment]
        snaplen = self.encoder.snaplen or DEFAULT_SNAPLEN
        header = (NANOSECOND_MAGIC, 2, 4, 0, 0, snaplen, LINKTYPE_ETHERNET)
        self._file.write(struct.pack("<IHHiIII", *header))  # type: ignore[union-attr]
        return self

    def write(self, rows: Table, times_ns: NDArray[np.int64]) -> None:
        """Append rows, in pieces that stay in the cache."""
        assert self._file is not None
        for start in range(0, len(rows), WRITE_ROWS):
            piece = slice(start, start + WRITE_ROWS)
            self._file.write(self.encoder.encode(rows[piece].view(np.recarray), times_ns[piece]))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        for file in {id(f): f for f in (self._file, self._raw) if f is not None}.values():
            file.close()
