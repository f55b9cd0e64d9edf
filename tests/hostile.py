"""A capture whose texts are markup and formulas, written by hand: LLDP, a TLS server name, DNS."""

import struct

MARKUP = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
FORMULA = '=HYPERLINK("http://evil.example","x")'
_ETHERNET = 1


def _tlv(kind: int, value: bytes) -> bytes:
    return struct.pack(">H", kind << 9 | len(value)) + value


def _lldp(name: str) -> bytes:
    frame = bytes.fromhex("0180c200000e02000000000188cc")
    body = _tlv(1, b"\x07" + name.encode()) + _tlv(2, b"\x07" + name.encode())
    body += _tlv(3, struct.pack(">H", 120)) + _tlv(5, name.encode()) + _tlv(6, name.encode())
    return frame + body + _tlv(0, b"")


def _hello(name: str) -> bytes:
    """Return a TLS ClientHello with `name` as its server name."""
    host = name.encode()
    listed = b"\x00" + struct.pack(">H", len(host)) + host
    extension = struct.pack(">HHH", 0, len(listed) + 2, len(listed)) + listed
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00"
    body += struct.pack(">H", len(extension)) + extension
    handshake = b"\x01" + struct.pack(">I", len(body))[1:] + body
    return b"\x16\x03\x01" + struct.pack(">H", len(handshake)) + handshake


def _tcp(payload: bytes, sequence: int, flags: int, *, back: bool = False) -> bytes:
    ends = [bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])]
    ports = [40_000, 443]
    if back:
        ends, ports = ends[::-1], ports[::-1]
    tcp = struct.pack(">HHIIBBHHH", *ports, sequence, 1, 5 << 4, flags, 65_000, 0, 0) + payload
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0) + ends[0] + ends[1]
    return bytes.fromhex("0200000000020200000000010800") + ip + tcp


def hostile_capture() -> bytes:
    """Return a pcap file of a handshake with a hostile server name between hostile neighbours."""
    packets = [
        _lldp(MARKUP), _lldp(FORMULA), _tcp(b"", 1, 2), _tcp(b"", 1, 18, back=True),
        _tcp(_hello(MARKUP), 2, 24), _tcp(_hello(FORMULA), 600, 24), _lldp("=1+1"),
    ]  # fmt: skip
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, _ETHERNET)
    for number, packet in enumerate(packets):
        out += struct.pack("<IIII", 1_800_000_000, number * 1_000, len(packet), len(packet))
        out += packet
    return out
