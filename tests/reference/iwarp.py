"""The slow, obvious reading of iWARP: join each direction's bytes first, then cut FPDUs from them.

Nothing here is shared with the analyzer. It knows no loss: bytes that no segment carried end the
reading of that direction. Bytes cut by a snap length are None.
"""

from dataclasses import dataclass, field


@dataclass
class Segment:
    """One TCP segment: sender, sequence number, bytes on the wire, and how many were captured."""

    side: int
    sequence: int
    payload: bytes
    captured: int = 1 << 20
    flags: int = 16
    time_ns: int = 0


@dataclass
class Fpdu:
    """One FPDU; fields are None where the snap length hid them."""

    side: int
    ulpdu_bytes: int
    tagged: int | None = None
    last: int | None = None
    opcode: int | None = None
    queue: int | None = None
    msn: int | None = None
    message_offset: int | None = None
    stag: int | None = None
    tagged_offset: int | None = None
    crc_ok: bool | None = None


@dataclass
class Stream:
    """One direction of a connection."""

    marker_wish: bool = False
    crc_wish: bool = False
    private_bytes: int = 0
    fpdus: list[Fpdu] = field(default_factory=list)
    messages: dict[int, int] = field(default_factory=dict)


def crc32c(data: bytes) -> int:
    """Return the CRC32c of `data`, bit by bit."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def join(segments: list[Segment], side: int) -> list[int | None]:
    """Return the bytes of one direction from its first segment on, None where not captured."""
    mine = [s for s in segments if s.side == side and s.payload]
    if not mine:
        return []
    first = mine[0].sequence
    known: dict[int, int | None] = {}
    for segment in mine:
        for k, byte in enumerate(segment.payload):
            place = (segment.sequence + k - first) % 2**32
            known.setdefault(place, byte if k < segment.captured else None)
    stream: list[int | None] = []
    while len(stream) in known:
        stream.append(known[len(stream)])
    return stream


def number(values: list[int | None]) -> int | None:
    """Return the bytes as a big-endian number, None if one is missing."""
    if not values or any(value is None for value in values):
        return None
    return int.from_bytes(bytes(v for v in values if v is not None), "big")


def cut_markers(stream: list[int | None]) -> list[tuple[int | None, bool]]:
    """Return each byte with whether it belongs to a marker."""
    return [(byte, place % 512 < 4) for place, byte in enumerate(stream)]


def read_fpdu(side: int, body: list[int | None], wire: list[int | None], crc: bool) -> Fpdu:
    """Return the FPDU with bytes `body`; `wire` has its markers too, up to the CRC."""
    length = number(body[:2])
    assert length is not None
    fpdu = Fpdu(side, length)
    if crc and None not in wire and None not in body:
        covered = bytes(byte for byte in wire if byte is not None)
        sent = bytes(byte for byte in body[-4:] if byte is not None)
        fpdu.crc_ok = crc32c(covered) == int.from_bytes(sent, "little")
    control, rdmap = body[2], body[3]
    if length == 0 or control is None or rdmap is None:
        return fpdu
    fpdu.tagged, fpdu.last, fpdu.opcode = control >> 7, control >> 6 & 1, rdmap & 15
    if fpdu.tagged and None not in body[:16]:
        fpdu.stag, fpdu.tagged_offset = number(body[4:8]), number(body[8:16])
    elif not fpdu.tagged and None not in body[:20]:
        fpdu.queue, fpdu.msn = number(body[8:12]), number(body[12:16])
        fpdu.message_offset = number(body[16:20])
    return fpdu


def dissect(segments: list[Segment]) -> tuple[Stream, Stream]:
    """Return both directions of one connection; each begins with its start frame."""
    streams = (Stream(), Stream())
    joined = [join(segments, side) for side in (0, 1)]
    for side in (0, 1):
        flags = joined[side][16] if len(joined[side]) > 16 else 0
        assert flags is not None
        streams[side].marker_wish = bool(flags & 0x80)
        streams[side].crc_wish = bool(flags & 0x40)
        streams[side].private_bytes = number(joined[side][18:20]) or 0
    crc = streams[0].crc_wish or streams[1].crc_wish
    for side in (0, 1):
        rest = joined[side][20 + streams[side].private_bytes :]
        marked = cut_markers(rest) if streams[1 - side].marker_wish else [(b, False) for b in rest]
        place = 0
        while True:
            body: list[int | None] = []
            wire: list[int | None] = []
            size = 0
            while place < len(marked) and (size == 0 or len(body) < size):
                byte, is_marker = marked[place]
                before_crc = not size or len(body) < size - 4
                if before_crc or (is_marker and len(body) == size - 4):
                    wire.append(byte)
                if not is_marker:
                    body.append(byte)
                place += 1
                if len(body) == 2 and not size:
                    length = number(body)
                    if length is None:
                        break
                    size = (2 + length + 3) // 4 * 4 + 4
            if not size or len(body) < size:
                break
            fpdu = read_fpdu(side, body, wire, crc)
            streams[side].fpdus.append(fpdu)
            if fpdu.last and fpdu.opcode is not None:
                seen = streams[side].messages
                seen[fpdu.opcode] = seen.get(fpdu.opcode, 0) + 1
    return streams
