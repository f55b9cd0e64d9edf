"""The page Failover: clicks, written failures, and files of fabrics."""

import base64
import json

import pytest

from fabricscope.dashboard.pages import failover
from fabricscope.dashboard.site import NoStore, Site, SiteConfig
from fabricscope.dashboard.view import read_view
from fabricscope.errors import ConfigError, FabricError
from fabricscope.topology.builders import build


def test_a_click_breaks_and_another_mends() -> None:
    broken = failover._toggle([], ("leaf0-spine1",), "@1ms")
    assert broken == ["leaf0-spine1@1ms"]
    assert failover._toggle(broken, ("leaf0-spine1",), "@9ms") == []
    bundle = ("a-b", "a-b#2")
    two = failover._toggle(failover._toggle([], bundle, "@1ms"), bundle, "@1ms:silent")
    assert two == ["a-b@1ms", "a-b#2@1ms:silent"]
    assert failover._toggle(two, bundle, "@1ms") == []


def test_what_is_no_failure_is_refused() -> None:
    with pytest.raises(FabricError, match="TARGET@TIME"):
        failover._add([], "leaf0-spine1")
    assert failover._add(["a-b@1ms"], " a-b@1ms ") == ["a-b@1ms"]


def test_a_file_comes_as_a_data_url_of_bounded_size() -> None:
    text = base64.b64encode(b"hello").decode()
    assert failover._decode(f"data:text/plain;base64,{text}") == b"hello"
    with pytest.raises(ConfigError, match="could not be read"):
        failover._decode("data:;base64,%%%")
    large = base64.b64encode(bytes(failover.IMPORT_BYTES + 1)).decode()
    with pytest.raises(ConfigError, match="512 KiB"):
        failover._decode(f"data:;base64,{large}")


def test_the_address_fills_the_form_and_the_sites_fabric_is_offered() -> None:
    site = Site(NoStore(), build("leaf-spine:2x2x2@100G"), SiteConfig())
    view = read_view("fail=leaf0-spine1@1ms&schemes=bgp&workload=alltoall:1MiB")
    text = json.dumps(failover._layout(site, view), default=lambda one: one.to_plotly_json())
    for part in ('"leaf0-spine1@1ms"', '["bgp"]', '"alltoall:1MiB"', '"This site\'s fabric"'):
        assert part in text
