"""The page Alerts: what it shows, and what people change there."""

import threading
import time
from collections.abc import Iterator

import pytest

from fabricscope.dashboard.data.alerts import open_alerts, open_silences
from fabricscope.dashboard.pages import alerts
from fabricscope.dashboard.security.roles import LOCAL, Visitor, enter, leave
from fabricscope.dashboard.site import NoStore, Site, SiteConfig
from fabricscope.dashboard.view import View, read_view
from fabricscope.errors import ConfigError


@pytest.fixture
def operator() -> Iterator[None]:
    token = enter(Visitor("ada", LOCAL.role))
    yield
    leave(token)


def _now(site: Site) -> View:
    view = read_view("range=1m")
    return View(view.start_ns, view.end_ns + 2 * 10**9)


def _states(site: Site) -> dict[str, str]:
    rows = open_alerts(site.store, _now(site)).iter_rows(named=True)
    return {row["subject"]: row["state"] for row in rows}


def test_open_alerts_and_history(site: Site, view: View) -> None:
    tiles, rows, figure, history, silences = alerts._draw(site, view, "", None)
    assert [row["subject"] for row in rows] == ["leaf0-spine0", "eth2"]  # type: ignore[attr-defined]
    assert len(history) == 2  # type: ignore[arg-type]
    assert figure.data  # type: ignore[attr-defined]
    assert silences == []
    assert len(tiles) == 6  # type: ignore[arg-type]


def test_what_one_asks_about_comes_first(site: Site, view: View) -> None:
    rows = alerts._draw(site, view, "eth2", None)[1]
    assert rows[0]["subject"] == "eth2"  # type: ignore[index]


@pytest.mark.usefixtures("operator")
def test_an_operator_acknowledges_and_silences(site: Site, view: View) -> None:
    rows = alerts._draw(site, view, "", None)[1]
    assert "acknowledged by ada" in alerts._change(site, rows[:1], None, "on it")  # type: ignore[index]
    assert "silenced for 15 minutes" in alerts._change(site, rows[1:2], 15, "")  # type: ignore[index]
    assert _states(site) == {"leaf0-spine0": "acknowledged", "eth2": "silenced"}
    held = [alerts._silence_row(one) for one in open_silences(site.store, _now(site))]
    assert "has ended" in alerts._end(site, held)
    assert open_silences(site.store, _now(site)) == []


class OneAtATime(NoStore):
    """A store that two must not have opened together."""

    def __init__(self) -> None:
        self.opened = 0
        self.most = 0

    def __enter__(self) -> "OneAtATime":
        self.opened += 1
        self.most = max(self.most, self.opened)
        time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self.opened -= 1

    def append(self, table: str, frame: object) -> None:
        time.sleep(0.01)


def test_two_operators_change_alerts_one_after_the_other() -> None:
    store = OneAtATime()
    site = Site(store, None, SiteConfig())

    def change() -> None:
        enter(Visitor("ada", LOCAL.role))
        alerts._change(site, [{"key": ["one", "slow link", "a-b"]}], 15, "")
        alerts._end(site, [{"key": ["slow link", "a-b"]}])

    threads = [threading.Thread(target=change) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert store.most == 1


@pytest.mark.usefixtures("operator")
def test_a_row_has_to_be_chosen(site: Site) -> None:
    with pytest.raises(ConfigError, match="click its row first"):
        alerts._change(site, [], None, "")
    with pytest.raises(ConfigError, match="click its row first"):
        alerts._end(site, [])


def test_a_viewer_changes_nothing(site: Site, view: View) -> None:
    rows = alerts._draw(site, view, "", None)[1]
    with pytest.raises(ConfigError, match="needs the role operator"):
        alerts._change(site, rows[:1], None, "")  # type: ignore[index]
    with pytest.raises(ConfigError, match="needs the role operator"):
        alerts._end(site, rows[:1])  # type: ignore[index]
    assert set(_states(site).values()) == {"firing"}
