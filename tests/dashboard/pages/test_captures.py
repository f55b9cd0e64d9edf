"""The page Captures: what is listed, and uploads with their refusals."""

import asyncio
import json
from pathlib import Path
from typing import Any

from fabricscope.dashboard.pages import captures
from fabricscope.dashboard.security.roles import LOCAL, Visitor, enter, leave
from fabricscope.dashboard.shelf import Shelf
from fabricscope.dashboard.site import NoStore, Site, SiteConfig
from fabricscope.dashboard.view import View


class Request:
    def __init__(self, name: str, *parts: bytes) -> None:
        self.query_params = {"name": name}
        self.parts = parts

    async def stream(self) -> Any:
        for part in self.parts:
            yield part


def send(shelf: Shelf, visitor: Visitor, name: str, *parts: bytes) -> tuple[int, dict[str, str]]:
    entered = enter(visitor)
    try:
        answer = asyncio.run(captures._receive(shelf, Request(name, *parts)))  # type: ignore[arg-type]
    finally:
        leave(entered)
    return answer.status_code, json.loads(bytes(answer.body))


def test_an_upload_is_kept_or_refused_in_a_sentence() -> None:
    shelf = Shelf(None, 4)
    status, said = send(shelf, LOCAL, "a.pcap", b"abcd")
    assert status == 200
    assert shelf.find(said["id"]) is not None
    status, said = send(shelf, LOCAL, "a.pcap", b"abcde")
    assert (status, "larger than" in said["problem"]) == (400, True)
    status, said = send(shelf, Visitor("eve", "viewer"), "a.pcap", b"x")
    assert (status, "operator" in said["problem"]) == (400, True)
    shelf.close()


def test_captures_are_listed_and_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    view = View(0, 1)
    (tmp_path / "<b>.pcap").write_bytes(b"x")
    site = Site(NoStore(), None, SiteConfig(captures=tmp_path))
    layout = json.dumps(captures._layout(site, view), default=lambda one: one.to_plotly_json())
    assert '"id": "<b>.pcap"' in layout
    site = Site(NoStore(), None, SiteConfig())
    layout = json.dumps(captures._layout(site, view), default=lambda one: one.to_plotly_json())
    assert "fabricscope dashboard --captures DIR" in layout
