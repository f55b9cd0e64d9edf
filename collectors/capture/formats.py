"""Recognise a file by its first bytes: captures, compression, and what people open by mistake.

Pure: bytes in, a verdict out. Reading is done elsewhere.
"""

from typing import Final, NamedTuple

HEAD_BYTES: Final = 65_536
"""Bytes of a file that `recognise` wants; it takes fewer."""

CAPTURE_FORMATS: Final = ("pcap", "pcapng", "erf")
COMPRESSIONS: Final = ("gzip", "zstd")


class Recognised(NamedTuple):
    """Verdict on a file's first bytes: `kind` is empty if it is no capture, and `problem` says why.

    `kind` is one of CAPTURE_FORMATS or COMPRESSIONS; `problem` completes the sentence
    "<file> ...".
    """

    kind: str
    problem: str


PCAP_MAGICS: Final = {
    b"\xd4\xc3\xb2\xa1": (False, 1_000, 16),
    b"\xa1\xb2\xc3\xd4": (True, 1_000, 16),
    b"\x4d\x3c\xb2\xa1": (False, 1, 16),
    b"\xa1\xb2\x3c\x4d": (True, 1, 16),
    b"\x34\xcd\xb2\xa1": (False, 1_000, 24),  # "modified": interface, protocol, packet type
    b"\xa1\xb2\xcd\x34": (True, 1_000, 24),
    b"\xac\x01\x00\x1c": (False, 1, 16),  # Ixia, hardware timestamps
    b"\x1c\x00\x01\xac": (True, 1, 16),
    b"\xab\x01\x00\x1c": (False, 1, 16),  # Ixia, software timestamps
    b"\x1c\x00\x01\xab": (True, 1, 16),
}
"""First four bytes of a pcap file: big endian, nanoseconds per fraction, record header bytes."""

IXIA_MAGICS: Final = (
    b"\xac\x01\x00\x1c",
    b"\x1c\x00\x01\xac",
    b"\xab\x01\x00\x1c",
    b"\x1c\x00\x01\xab",
)
"""These carry four more bytes, the size of all records, after the pcap file header."""

PCAPNG_MAGIC: Final = b"\x0a\x0d\x0d\x0a"
PCAPNG_LITTLE: Final = b"\x4d\x3c\x2b\x1a"
PCAPNG_BIG: Final = b"\x1a\x2b\x3c\x4d"
GZIP_MAGIC: Final = b"\x1f\x8b\x08"
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"

FOREIGN_CAPTURES: Final = (
    (b"snoop\0\0\0", "snoop (Solaris)"),
    (b"RTSS", "Microsoft Network Monitor 1"),
    (b"GMBU", "Microsoft Network Monitor 2"),
    (b"TRSNIFF data    \x1a", "Sniffer (DOS)"),
    (b"XCP\0", "Sniffer (Windows) or NetXRay"),
    (b"VL\0\0", "NetXRay 1"),
    (b"iptrace 1.0", "AIX iptrace"),
    (b"iptrace 2.0", "AIX iptrace"),
    (b"\xaa\xaa\xaa\xaa", "5Views"),
    (b"btsnoop\0", "Bluetooth snoop (btsnoop)"),
    (b"\x00\x00\x02\x00\x12\x05\x00\x10", "Tektronix K12"),
    (b"+---------+---------------+----------+", "Tektronix K12 text"),
    (b"\x05VNF", "Visual Networks"),
    (b"\x7fver", "OmniPeek or EtherPeek"),
    (b"\x54\x52\x00\x64\x00", "HP-UX nettl"),
    (b"EyeSDN\xff", "EyeSDN"),
    (b"Session Transcript", "Catapult DCT2000"),
)
FOREIGN_COMPRESSIONS: Final = (
    (b"BZh", "bzip2", "bunzip2"),
    (b"\xfd7zXZ\0", "xz", "unxz"),
    (b"\x04\x22\x4d\x18", "lz4", "unlz4"),
    (b"\x1f\x9d", "compress (.Z)", "uncompress"),
    (b"PK\x03\x04", "ZIP", "unzip"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip", "7z x"),
)
OTHER_FILES: Final = (
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG\r\n", "a PNG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"\x7fELF", "an ELF program"),
    (b"PAR1", "a Parquet table"),
    (b"SQLite format 3\0", "an SQLite database"),
)

ERF_LAST_TYPE: Final = 29
ERF_PAD_TYPE: Final = 48
ERF_STEP_S: Final = 7 * 86_400
ERF_RECORDS: Final = 8
TAR_MAGIC_AT: Final = 257


def recognise(head: bytes) -> Recognised:
    """Say what a file is from its first bytes (HEAD_BYTES or fewer); its name plays no part."""
    if not head:
        return Recognised("", "is empty: give a capture file")
    if head[:4] in PCAP_MAGICS:
        return _whole("pcap", head, 28 if head[:4] in IXIA_MAGICS else 24)
    if head[:4] == PCAPNG_MAGIC:
        if head[8:12] in (PCAPNG_LITTLE, PCAPNG_BIG) or len(head) < 12:
            return _whole("pcapng", head, 28)
        return Recognised("", "starts like pcapng, but has no byte-order magic at byte 8")
    if head[:3] == GZIP_MAGIC:
        return Recognised("gzip", "")
    if head[:4] == ZSTD_MAGIC or _is_zstd_skippable(head):
        return Recognised("zstd", "")
    foreign = _foreign(head)
    if foreign:
        return Recognised("", foreign)
    if _looks_like_erf(head):
        return Recognised("erf", "")
    start = head[:8].hex(" ")
    return Recognised(
        "",
        f"is in no known capture format (it starts with {start}): give a pcap, pcapng or ERF file",
    )


def _whole(kind: str, head: bytes, header_bytes: int) -> Recognised:
    if len(head) < header_bytes:
        return Recognised(
            "", f"is cut inside the {kind} file header ({len(head)} of {header_bytes} bytes)"
        )
    return Recognised(kind, "")


def _is_zstd_skippable(head: bytes) -> bool:
    """Say whether these bytes are a skippable frame before a zstd frame."""
    if len(head) < 12 or head[1:4] != b"\x2a\x4d\x18" or head[0] >> 4 != 5:
        return False
    at = 8 + int.from_bytes(head[4:8], "little")
    return head[at : at + 4] == ZSTD_MAGIC


def _foreign(head: bytes) -> str:
    """Name what a file is that is no capture we read, with what to do; empty if unknown."""
    for magic, name in FOREIGN_CAPTURES:
        if head.startswith(magic):
            return f"is in {name} format: convert it with editcap -F pcap"
    for magic, name, tool in FOREIGN_COMPRESSIONS:
        if head.startswith(magic):
            return f"is {name} compressed: unpack it with {tool} first"
    for magic, name in OTHER_FILES:
        if head.startswith(magic):
            return f"is {name}, not a capture"
    if head[TAR_MAGIC_AT : TAR_MAGIC_AT + 5] == b"ustar":
        return "is a tar archive: unpack it with tar -x first"
    sample = head[:512]
    if all(byte in b"\t\n\r\x0c\x1b" or 0x20 <= byte < 0x7F or byte >= 0x80 for byte in sample):
        try:
            sample.decode("utf-8", "strict" if len(head) <= 512 else "ignore")
        except UnicodeDecodeError:
            return ""
        return "is a text file, not a capture"
    return ""


def _looks_like_erf(head: bytes) -> bool:
    """Say whether a chain of believable ERF records starts here; ERF has no magic number."""
    at = 0
    records = 0
    last_s = 0
    while at + 16 <= len(head) and records < ERF_RECORDS:
        second = int.from_bytes(head[at + 4 : at + 8], "little")
        kind = head[at + 8] & 0x7F
        length = int.from_bytes(head[at + 10 : at + 12], "big")
        wire = int.from_bytes(head[at + 14 : at + 16], "big")
        if length < 16:
            return False
        if kind != ERF_PAD_TYPE:
            if not 1 <= kind <= ERF_LAST_TYPE or wire == 0 or second == 0:
                return False
            if records and abs(second - last_s) > ERF_STEP_S:
                return False
            last_s = second
            records += 1
        at += length
    # One complete record could be chance, unless the file ends exactly with it.
    return records >= 2 or (records == 1 and at == len(head))
