"""What a draft works out: kinds by names and by distance, and the limits."""

import pytest

from fabricscope.errors import FabricError
from fabricscope.topology import limits
from fabricscope.topology.files.draft import SWITCH, Cable, Draft


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("leaf12", "leaf"), ("dc1-tor-3", "leaf"), ("edge4", "leaf"), ("SPINE-1", "spine"),
        ("agg3", "spine"), ("superspine2", "core"), ("core-7", "core"), ("gpu-5", "gpu"),
        ("h3", "host"), ("node007", "host"), ("dgx-11", "host"), ("nvswitch0", "nvswitch"),
    ],
)  # fmt: skip
def test_kinds_by_name(name: str, kind: str) -> None:
    draft = Draft("x")
    draft.add_device(name, "")
    assert draft.finish("x").fabric.devices[0].kind == kind


def test_kinds_by_distance_where_names_say_nothing() -> None:
    draft = Draft("x")
    for name in ("p", "q", "r", "s"):
        draft.add_device(name, "")
    for a, b in ("pq", "qr", "rs"):
        draft.add_cable(Cable(a, b), "")
    found = {d.name: d.kind for d in draft.finish("x").fabric.devices}
    assert found == {"p": "host", "q": "leaf", "r": "leaf", "s": "host"}


def test_a_switch_is_never_taken_for_a_host() -> None:
    draft = Draft("x")
    draft.add_device("server-switch", "", SWITCH)
    assert draft.finish("x").fabric.devices[0].kind == "leaf"


def test_limits_hold_while_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_DEVICES", 2)
    draft = Draft("x")
    draft.add_device("a", "")
    draft.add_device("b", "")
    with pytest.raises(FabricError, match="x: 3 devices are more than the 2"):
        draft.add_device("c", "")
    monkeypatch.setattr(limits, "MAX_LINKS", 0)
    with pytest.raises(FabricError, match="1 links are more than the 0"):
        draft.add_cable(Cable("a", "b"), "")


def test_names_are_checked() -> None:
    draft = Draft("x")
    for value in (None, True, 3.5, [], "", " ", "a\nb", "a" * 201, "\x1b[31m"):
        with pytest.raises(FabricError, match=r"x: here: "):
            draft.check_name(value, "here")
    assert draft.check_name(7, "here") == "7"
