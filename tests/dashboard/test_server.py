"""Where the site listens."""

import pytest
from sites import serving

from fabricscope.dashboard.app import create_app
from fabricscope.dashboard.server import Address, is_loopback, serve
from fabricscope.dashboard.site import NoStore, SiteConfig
from fabricscope.errors import ConfigError


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.8.0.1", True), ("::1", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("192.0.2.1", False), ("localhost.evil.example", False)],
)  # fmt: skip
def test_loopback_is_told_from_the_rest(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_addresses_are_what_a_browser_takes() -> None:
    assert Address().url == "http://127.0.0.1:8050"
    assert Address("::1", 80).url == "http://[::1]:80"


def test_a_port_in_use_is_named() -> None:
    app = create_app(NoStore(), None, SiteConfig())
    with serving() as address:
        taken = Address(port=int(address.rpartition(":")[2]))
        with pytest.raises(ConfigError, match="choose another --port"):
            serve(app, taken, lambda: pytest.fail("announced"))


def test_a_host_that_is_not_ours_is_named() -> None:
    app = create_app(NoStore(), None, SiteConfig())
    with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1"):
        serve(app, Address("192.0.2.1", 0), lambda: pytest.fail("announced"))
