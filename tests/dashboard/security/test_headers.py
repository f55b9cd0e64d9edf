"""The headers of every answer."""

from fabricscope.dashboard.security.headers import build_headers, content_policy


def test_scripts_come_from_files_of_this_site_only() -> None:
    policy = content_policy(["'sha256-abc'"])
    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert scripts == "script-src 'self' 'sha256-abc'"
    assert "http:" not in policy
    assert "object-src 'none'" in policy


def test_https_is_remembered_only_under_https() -> None:
    assert "strict-transport-security" in build_headers("x", tls=True)
    assert "strict-transport-security" not in build_headers("x", tls=False)
