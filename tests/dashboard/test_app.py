"""The application: its parts, without a server."""

import asyncio
from pathlib import Path

import pytest

from fabricscope.dashboard import ids
from fabricscope.dashboard.app import create_app
from fabricscope.dashboard.pages.capture_work import Desk
from fabricscope.dashboard.pages.failover_work import Bench
from fabricscope.dashboard.site import NoStore, SiteConfig


def test_pages_wire_callbacks_of_their_own() -> None:
    app = create_app(NoStore(), None, SiteConfig())
    outputs = " ".join(app.callback_map)
    for name in ("fabric", "links", "rdma", "training", "traffic", "alerts", "system"):
        assert f"{name}-" in outputs, name
    assert ids.TICK in str(app._callback_list)


def test_ids_are_unique() -> None:
    values = [value for value in vars(ids).values() if isinstance(value, str)]
    classes = [value for value in vars(ids).values() if isinstance(value, type)]
    for one in classes:
        values += [v for k, v in vars(one).items() if isinstance(v, str) and k.isupper()]
    texts = [
        value for value in values if not value.startswith(("_", "/", "The ids", "fabricscope"))
    ]
    assert len(texts) == len(set(texts))


def test_no_file_of_the_site_names_another_site() -> None:
    app = create_app(NoStore(), None, SiteConfig())
    assets = Path(app.config.assets_folder)
    for file in [*assets.glob("*.js"), *assets.glob("*.css")]:
        text = file.read_text(encoding="utf-8")
        assert "http://" not in text, file.name
        assert "https://" not in text, file.name


def test_callbacks_have_more_threads_than_a_few_slow_ones_take() -> None:
    app = create_app(NoStore(), None, SiteConfig())
    assert app._websocket_max_workers >= 16


def test_what_was_brought_in_goes_with_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    monkeypatch.setattr(Desk, "close", lambda _: closed.append("desk"))
    monkeypatch.setattr(Bench, "close", lambda _: closed.append("bench"))
    server = create_app(NoStore(), None, SiteConfig()).server

    async def live() -> None:
        async with server.router.lifespan_context(server):
            assert closed == []

    asyncio.run(live())
    assert closed == ["desk", "bench"]
