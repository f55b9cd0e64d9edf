"""Cables told from each end: confirmed, alone, contradicted."""

from fabricscope.topology.files.draft import Draft, Imported
from fabricscope.topology.files.sides import Side, join_sides


def _join(*sides: tuple[str, str, str, str, float], listed: str = "ab") -> Imported:
    draft = Draft("x")
    for name in listed:
        draft.add_device(name, "", "leaf")
    join_sides(draft, [Side(*side, "line 1") for side in sides], set(listed))
    return draft.finish("x")


def test_two_sides_are_one_cable_at_the_lower_rate() -> None:
    fabric, _, faults = _join(("a", "1", "b", "2", 100.0), ("b", "2", "a", "1", 40.0))
    assert [(x.a_port, x.b_port, x.rate_gbps) for x in fabric.links] == [("1", "2", 40.0)]
    assert faults == (
        "links with different rates at their two ends, of which the lower is taken: 1",
    )
    fabric, _, faults = _join(("a", "1", "b", "2", -1.0), ("b", "2", "a", "1", 40.0))
    assert (fabric.links[0].rate_gbps, faults) == (40.0, ())


def test_a_side_alone_counts_only_where_the_other_was_asked() -> None:
    assert _join(("a", "1", "b", "2", 1.0)).faults == ("links seen from one end only: 1",)
    fabric, _, faults = _join(("a", "1", "c", "2", 1.0))
    assert ([d.name for d in fabric.devices], faults) == (["a", "b", "c"], ())


def test_contradictions_make_one_cable_a_port() -> None:
    fabric, _, faults = _join(("a", "1", "b", "2", 1.0), ("b", "2", "a", "7", 1.0))
    assert len(fabric.links) == 1
    assert faults == ("ports whose neighbour names another one: 1",)


def test_loops_and_second_neighbours_are_left_out() -> None:
    fabric, _, faults = _join(
        ("a", "1", "a", "2", 1.0), ("b", "1", "a", "3", 1.0), ("b", "1", "a", "4", 1.0)
    )
    assert len(fabric.links) == 1
    assert "ports with several neighbours, of which the first is taken: 1" in faults
    assert "ports that lead back to their own device, left out: 1" in faults
