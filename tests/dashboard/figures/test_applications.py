"""The tree map of applications and behaviours."""

from examples.analysis import HOSTILE
from examples.training import hostile_training_document, training_document

from fabricscope.dashboard.applications import list_applications
from fabricscope.dashboard.figures.applications import APPLICATIONS_LIMIT, draw_applications


def test_behaviours_lie_inside_their_application_and_fill_it() -> None:
    rows = list_applications(training_document())
    tiles = draw_applications(rows).data[0]
    size = dict(zip(tiles.ids, tiles.values, strict=True))
    for name, parent in zip(tiles.ids, tiles.parents, strict=True):
        inside = [size[n] for n, p in zip(tiles.ids, tiles.parents, strict=True) if p == name]
        assert not inside or sum(inside) == size[name]
        assert parent == "" or parent in size
    assert list(tiles.labels[:2]) == ["roce_v2", "collective burst"]
    assert tiles.customdata[0][0].endswith("%)")


def test_what_no_behaviour_was_found_for_is_said() -> None:
    rows = [{"application": "dns", "behaviour": None, "bytes": 10, "flows": 2}]
    assert draw_applications(rows).data[0].labels[1] == "not classified"


def test_small_applications_share_a_tile() -> None:
    rows = [
        {"application": f"p{k}", "behaviour": "idle", "bytes": 1000 - k, "flows": 1}
        for k in range(300)
    ]
    tiles = draw_applications(rows).data[0]
    assert len(tiles.ids) == 2 * APPLICATIONS_LIMIT + 1
    assert tiles.labels[-1] == f"{300 - APPLICATIONS_LIMIT} others"
    top = [v for v, p in zip(tiles.values, tiles.parents, strict=True) if p == ""]
    assert sum(top) == sum(row["bytes"] for row in rows)


def test_names_are_escaped() -> None:
    text = draw_applications(list_applications(hostile_training_document())).to_json()
    assert HOSTILE not in text
    assert "<script" not in text


def test_nothing_to_draw_is_said() -> None:
    assert draw_applications([]).layout.annotations[0].text.startswith("No flows")
