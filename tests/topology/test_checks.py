"""Checks of cabling: each fault is planted in a fabric that is otherwise right, and found."""

from collections.abc import Callable

import pytest

from fabricscope.topology.builders import build
from fabricscope.topology.checks import Check, check_cabling, check_fabric
from fabricscope.topology.fabric import Fabric, Link

PLAN = build("leaf-spine:4x4x4@100G")


def _change(change: Callable[[list[Link]], None], fabric: Fabric = PLAN) -> Fabric:
    links = list(fabric.links)
    change(links)
    return Fabric("changed", fabric.devices, tuple(links))


def _check(name: str, fabric: Fabric, faults: tuple[str, ...] = ()) -> Check:
    checks, _ = check_fabric(fabric, PLAN, faults)
    return next(check for check in checks if check.name == name)


def _swap(links: list[Link]) -> None:
    """Swap the far ends of leaf0-spine1 and leaf1-spine2."""
    first, second = PLAN.find_link("leaf0-spine1"), PLAN.find_link("leaf1-spine2")
    links[first], links[second] = (
        links[first]._replace(b=links[second].b, b_port=links[second].b_port),
        links[second]._replace(b=links[first].b, b_port=links[first].b_port),
    )


def _slow(links: list[Link]) -> None:
    number = PLAN.find_link("leaf2-spine3")
    links[number] = links[number]._replace(rate_gbps=40.0)


def _cut(links: list[Link]) -> None:
    del links[PLAN.find_link("leaf3-spine0")]


def test_a_right_fabric_passes_every_check_but_is_single_homed() -> None:
    checks, bisection = check_fabric(PLAN, PLAN)
    assert {check.name: check.severity for check in checks} == {
        "duplex": "ok", "cabling": "ok", "symmetry": "ok", "ECMP": "ok", "bisection": "ok",
        "reach": "ok", "single points": "notice",
    }  # fmt: skip
    assert bisection.share == 1.0
    assert checks[-1].text == (
        "16 endpoints hang on one switch each; losing one of 4 leaves cuts off 4"
    )


def test_swapped_cables_are_named() -> None:
    check = check_cabling(_change(_swap), PLAN)
    assert check.severity == "critical"
    assert check.text == (
        "wrong ends: leaf0-spine2 instead of leaf0-spine1, leaf1-spine1 instead of leaf1-spine2"
    )
    assert check.names == ("leaf0-spine2", "leaf1-spine1")
    assert _check("ECMP", _change(_swap)).severity == "warning"


def test_a_cable_at_another_rate() -> None:
    check = check_cabling(_change(_slow), PLAN)
    assert check.text == "cables at another rate: leaf2-spine3"
    symmetry = _check("symmetry", _change(_slow))
    assert symmetry.names == ("leaf2", "spine3")


def test_a_missing_cable() -> None:
    fabric = _change(_cut)
    assert check_cabling(fabric, PLAN).text == "missing cables: leaf3-spine0"
    assert _check("symmetry", fabric).names == ("leaf3", "spine0")
    ecmp = _check("ECMP", fabric)
    assert ecmp.severity == "warning"
    assert "3 to 4 wide over 2 hops" in ecmp.text
    assert _check("bisection", fabric).severity == "notice"


def test_other_devices_than_planned() -> None:
    check = check_cabling(build("leaf-spine:4x5x3@100G"), PLAN)
    assert "missing devices: host12, host13, host14, host15" in check.text
    assert "devices that are not in the plan: spine4" in check.text


def test_two_cables_in_one_port_and_what_importers_found() -> None:
    def reuse(links: list[Link]) -> None:
        links[1] = links[1]._replace(b_port=links[0].b_port)

    assert _check("duplex", _change(reuse)).names == ("leaf0:p0",)
    assert _check("duplex", PLAN, ("links seen from one end only: 1",)).severity == "warning"


def test_single_points_of_failure() -> None:
    one_spine = build("leaf-spine:3x1x2@100G")
    checks, _ = check_fabric(one_spine)
    single = checks[-1]
    assert single.severity == "warning"
    assert single.text.startswith("without spine0 the fabric falls apart; ")
    for spec in ("dual-tor:2x2x3@100G", "dual-plane:2x2x3@100G"):
        checks, _ = check_fabric(build(spec))
        assert checks[-1].text == "no single switch cuts an endpoint off"


def test_halves_that_do_not_meet() -> None:
    def cut_all(links: list[Link]) -> None:
        links[:] = [link for link in links if PLAN.devices[link.b].kind == "leaf"]

    fabric = _change(cut_all)
    assert _check("bisection", fabric).severity == "critical"
    assert (
        _check("reach", fabric).text == "no part of the fabric reaches more than 4 of 16 endpoints"
    )
    assert _check("ECMP", fabric).text == "no two leaves reach one another"


def test_endpoints_without_a_switch() -> None:
    fabric = _change(lambda links: links.__delitem__(0))
    assert _check("reach", fabric).text == "endpoints without a switch: host0"


@pytest.mark.parametrize("spec", ["leaf-spine:1x1x1", "leaf-spine:1x1x2", "rail:1x1x1"])
def test_the_smallest_fabrics_can_be_checked(spec: str) -> None:
    checks, _ = check_fabric(build(spec))
    assert len(checks) == 6


def test_an_empty_fabric_can_be_checked() -> None:
    checks, bisection = check_fabric(Fabric("empty", (), ()))
    assert bisection.full_gbps == 0.0
    assert all(check.text for check in checks)
