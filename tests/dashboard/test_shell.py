"""The frame: what it is made of, what a second says, what errors become."""

import logging

import pytest
from fabric_samples import SECOND_NS

from fabricscope.dashboard import ids, shell
from fabricscope.dashboard.site import NoStore, Site, SiteConfig
from fabricscope.errors import StoreError


def test_the_frame_names_every_page_and_the_way_past_them() -> None:
    text = str(shell.lay_out())
    assert all(page in text for page in ("Fabric", "Links", "Captures", "System"))
    assert "Skip to the page" in text
    assert ids.TICK in text


def test_a_second_says_what_there_is() -> None:
    tick = shell._tick(Site(NoStore(), None, SiteConfig()))
    assert tick["latest_ms"] is None
    assert tick["collectors"] == []
    assert tick["time_ms"] * 1_000_000 > 1_700_000_000 * SECOND_NS


def test_an_error_of_ours_is_its_sentence() -> None:
    assert shell.explain(StoreError("the disk is full")) == "the disk is full"


def test_any_other_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        text = shell.explain(ValueError("secret"))
    assert "secret" not in text
    assert "a callback failed" in caplog.text
