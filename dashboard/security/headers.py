"""The headers that every answer carries: what a browser may load, run, frame and keep."""

from collections.abc import Sequence
from typing import Final

__all__ = ["build_headers", "content_policy"]

_FIXED: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_YEAR_S: Final = 31_536_000


def content_policy(script_hashes: Sequence[str]) -> str:
    """Return the Content-Security-Policy: everything from this site, scripts only from files.

    script_hashes: of the inline scripts that the page itself has. Styles may be inline, since the
    charts and tables set positions and colours that way.
    """
    scripts = " ".join(["'self'", *script_hashes])
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src {scripts}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "frame-src 'self'",
            "frame-ancestors 'self'",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        )
    )


def build_headers(policy: str, *, tls: bool) -> dict[str, str]:
    """Return the headers by name in lower case."""
    headers = {"content-security-policy": policy, **_FIXED}
    if tls:
        headers["strict-transport-security"] = f"max-age={_YEAR_S}"
    return headers
