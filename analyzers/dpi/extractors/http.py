"""HTTP/1 and HTTP/2: method, host, path, status, agent, and which service speaks it."""

import contextlib
import re
from typing import Final

from fabricscope.analyzers.dpi.extractors.text import Detail, Head, printable, unsigned

_PREFACE_BYTES: Final = 24
_SERVICES: Final = (
    # Header or path that says which service it is.
    (re.compile(rb"\r\n(?:x-amz-|authorization: AWS4-)", re.IGNORECASE), "s3"),
    (re.compile(rb"^GET /metrics(?:[ ?])"), "prometheus"),
    (re.compile(rb"\r\nx-prometheus-remote-write", re.IGNORECASE), "prometheus"),
    (re.compile(rb"^POST /(?:write|api/v2/write)\?"), "influxdb"),
    (re.compile(rb"^\w+ /raft(?:/stream|[ ?])"), "etcd_peer"),
    (re.compile(rb"^\w+ /v[23]/(?:keys|kv|lease|watch)"), "etcd"),
    (re.compile(rb"^\w+ /(?:api/v1|apis)/(?:namespaces|nodes|pods)"), "kubernetes"),
    (re.compile(rb"\r\nupgrade: *websocket", re.IGNORECASE), "websocket"),
    (re.compile(rb"\r\nsoapaction:", re.IGNORECASE), "soap"),
    (re.compile(rb"\r\ncontent-type: *application/ipp", re.IGNORECASE), "ipp"),
    (re.compile(rb"\r\ncontent-type: *application/grpc", re.IGNORECASE), "grpc_web"),
)
_HEADERS: Final = {
    b"host": "host", b"user-agent": "user_agent", b"server": "server",
    b"content-type": "content_type",
}  # fmt: skip
_STATIC_PATHS: Final = {2: ("method", "GET"), 3: ("method", "POST"), 4: ("path", "/"),
                        5: ("path", "/index.html")}  # fmt: skip


def extract_http(request: Head, reply: Head) -> Detail:
    """Return what the first request and the first response of an HTTP/1 stream say."""
    detail: Detail = {}
    for data in (request.first, reply.first):
        line, _, rest = data.partition(b"\r\n")
        if line.startswith(b"HTTP/1."):
            status = line[9:12]
            if status.isdigit():
                detail["status"] = int(status)
            _read_headers(detail, rest, ("server", "content_type"))
            continue
        words = line.split(b" ")
        if len(words) >= 2:
            detail["method"] = printable(words[0], 16)
            detail["path"] = printable(words[1])
            _read_headers(detail, rest, ("host", "user_agent"))
            for pattern, service in _SERVICES:
                if pattern.search(data):
                    detail["service"] = service
                    break
    return detail


def _read_headers(detail: Detail, text: bytes, wanted: tuple[str, ...]) -> None:
    for line in text.split(b"\r\n")[:64]:
        if not line:
            return
        name, _, value = line.partition(b":")
        key = _HEADERS.get(name.strip().lower())
        if key in wanted:
            detail[key] = printable(value.strip())


def extract_http2(request: Head, reply: Head) -> Detail:
    """Return what the first HEADERS frames say without Huffman decoding: path, authority, gRPC.

    HPACK strings that are Huffman coded are left out, apart from those of gRPC's content type.
    """
    detail: Detail = {}
    data = request.first[_PREFACE_BYTES:]
    at = 0
    while at + 9 <= len(data):
        size, kind, flags = unsigned(data, at, 3), data[at + 3], data[at + 4]
        body = data[at + 9 : at + 9 + size]
        if kind == 1:
            skip = (1 if flags & 8 else 0) + (5 if flags & 0x20 else 0)
            # A block that is cut off has said what it could.
            with contextlib.suppress(ValueError):
                _read_block(detail, body[skip:])
            break
        at += 9 + size
    both = request.first + reply.first
    if _GRPC_HUFFMAN in both or b"application/grpc" in both:
        detail["service"] = "grpc"
    for name, plain, coded in _GRPC_SERVICES:
        if plain in request.first or coded in request.first:
            detail["service"] = name
    return detail


_GRPC_HUFFMAN: Final = bytes.fromhex("1d75d0620d263d4c4d6564")
"""`application/grpc` in HPACK's Huffman code."""

_GRPC_SERVICES: Final = (
    # Name, the beginning of the path, and the whole octets of its Huffman code.
    ("gnmi", b"/gnmi.gNMI/", bytes.fromhex("626aa932f369d191")),
    ("etcd", b"/etcdserverpb.", bytes.fromhex("60a924882d9dcb6571")),
    ("ray", b"/ray.rpc.", bytes.fromhex("62c1fa5ecac8")),
    ("kubernetes_cri", b"/runtime.v1.", bytes.fromhex("62cb6a49a92afdc2")),
)


def _read_block(detail: Detail, block: bytes) -> None:
    """Read indexed and literal fields of a header block (RFC 7541) until one is not readable."""
    at = 0
    names = {1: "host", 2: "method", 4: "path", 6: "scheme", 58: "user_agent", 31: "content_type"}
    for _ in range(32):
        first = unsigned(block, at, 1)
        if first & 0x80:
            if first & 0x7F in _STATIC_PATHS:
                key, value = _STATIC_PATHS[first & 0x7F]
                detail[key] = value
            at += 1
            continue
        if first & 0xE0 == 0x20:
            at += 1
            continue
        index = first & (0x3F if first & 0x40 else 0x0F)
        at += 1
        if index == (0x3F if first & 0x40 else 0x0F):
            index += unsigned(block, at, 1) & 0x7F
            at += 1
        if index == 0:
            at += 1 + (unsigned(block, at, 1) & 0x7F)
        size = unsigned(block, at, 1)
        value_bytes = block[at + 1 : at + 1 + (size & 0x7F)]
        if index in names and not size & 0x80 and len(value_bytes) == size:
            detail[names[index]] = printable(value_bytes)
        at += 1 + (size & 0x7F)
