"""Short lists of links and alerts."""

from fabricscope.dashboard.data.alerts import open_alerts
from fabricscope.dashboard.data.links import link_states
from fabricscope.dashboard.pages.link_lists import health_badge, list_alerts, list_links
from fabricscope.dashboard.site import Site
from fabricscope.dashboard.view import View


def test_entries_lead_to_their_stories(site: Site, view: View) -> None:
    text = str(list_links(site.read(link_states, view), view))
    assert "/links?range=1m&link=leaf0-spine0" in text
    assert "Nothing" not in str(list_alerts(site.read(open_alerts, view), view))
    assert "/alerts?range=1m&subject=leaf0-spine0" in str(
        list_alerts(site.read(open_alerts, view), view)
    )


def test_the_way_to_the_others_is_shown(site: Site, view: View) -> None:
    alerts = site.read(open_alerts, view)
    assert "1 more" in str(list_alerts(alerts.head(1), view, alerts.height))
    assert "more" not in str(list_alerts(alerts, view, alerts.height))


def test_none_is_said(empty_site: Site, view: View) -> None:
    assert "No samples" in str(list_links(empty_site.read(link_states, view), view))
    assert "All is well" in str(list_links(empty_site.read(link_states, view), view, "All is well"))
    assert "Nothing is firing" in str(list_alerts(empty_site.read(open_alerts, view), view))


def test_scores_have_shapes() -> None:
    assert "bad" in health_badge(12.3).className
    assert "unknown" in health_badge(None).className
