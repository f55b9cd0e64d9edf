"""Readers of what a recognised flow says about itself, one module a protocol family.

An extractor takes the heads of both directions and returns a small dict; it never raises.
"""

from collections.abc import Callable
from typing import Final

from fabricscope.analyzers.dpi.extractors.control import (
    extract_bgp,
    extract_dhcp,
    extract_dhcpv6,
    extract_first_line,
    extract_ssh,
)
from fabricscope.analyzers.dpi.extractors.dns import extract_dns
from fabricscope.analyzers.dpi.extractors.http import extract_http, extract_http2
from fabricscope.analyzers.dpi.extractors.quic import extract_quic
from fabricscope.analyzers.dpi.extractors.storage import (
    extract_iscsi,
    extract_nvme_tcp,
    extract_smb,
)
from fabricscope.analyzers.dpi.extractors.text import Detail, Head
from fabricscope.analyzers.dpi.extractors.tls import extract_dtls, extract_tls

_EXTRACTORS: Final[dict[str, Callable[[Head, Head], Detail]]] = {
    "bgp": extract_bgp,
    "dhcp": extract_dhcp,
    "dhcpv6": extract_dhcpv6,
    "dns": extract_dns,
    "dtls": extract_dtls,
    "ftp": extract_first_line,
    "http": extract_http,
    "http2": extract_http2,
    "iscsi": extract_iscsi,
    "llmnr": extract_dns,
    "mdns": extract_dns,
    "nvme_tcp": extract_nvme_tcp,
    "quic": extract_quic,
    "rtsp": extract_first_line,
    "sip": extract_first_line,
    "smb": extract_smb,
    "smtp": extract_first_line,
    "ssh": extract_ssh,
    "tls": extract_tls,
}


def extract_detail(application: str, request: Head, reply: Head) -> Detail:
    """Return the detail of a flow; empty where there is nothing to say or bytes are missing."""
    extractor = _EXTRACTORS.get(application)
    if extractor is None:
        return {}
    try:
        return extractor(request, reply)
    except (ValueError, IndexError):
        return {}
