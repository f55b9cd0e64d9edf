"""Readers of what a recognised flow says about itself, one module a protocol family.

An extractor takes the heads of both directions and returns a small dict; it never raises. Its
module is imported when the first flow needs it.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Final, cast

from fabricscope.analyzers.dpi.extractors.text import Detail, Head

EXTRACTORS: Final = {
    "bgp": "control.extract_bgp",
    "dhcp": "control.extract_dhcp",
    "dhcpv6": "control.extract_dhcpv6",
    "dns": "dns.extract_dns",
    "dtls": "tls.extract_dtls",
    "ftp": "control.extract_first_line",
    "http": "http.extract_http",
    "http2": "http.extract_http2",
    "iscsi": "storage.extract_iscsi",
    "llmnr": "dns.extract_dns",
    "mdns": "dns.extract_dns",
    "nvme_tcp": "storage.extract_nvme_tcp",
    "quic": "quic.extract_quic",
    "rtsp": "control.extract_first_line",
    "sip": "control.extract_first_line",
    "smb": "storage.extract_smb",
    "smtp": "control.extract_first_line",
    "ssh": "control.extract_ssh",
    "tls": "tls.extract_tls",
}
"""Module of this package and function by application."""


def extract_detail(application: str, request: Head, reply: Head) -> Detail:
    """Return the detail of a flow; empty where there is nothing to say or bytes are missing."""
    if application not in EXTRACTORS:
        return {}
    try:
        return _extractor(application)(request, reply)
    except (ValueError, IndexError):
        return {}


@cache
def _extractor(application: str) -> Callable[[Head, Head], Detail]:
    module, function = EXTRACTORS[application].split(".")
    loaded = import_module(f"{__name__}.{module}")
    return cast("Callable[[Head, Head], Detail]", getattr(loaded, function))
