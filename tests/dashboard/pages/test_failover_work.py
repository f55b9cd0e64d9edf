"""Experiments of the page Failover: run, followed, drawn; and what cannot be run."""

import dataclasses
import json
import time
from typing import Any

import pytest
from dash import no_update

from fabricscope.dashboard.experiment import Experiment, read_experiment
from fabricscope.dashboard.pages import failover_work
from fabricscope.dashboard.pages.failover_work import Bench, bench_of
from fabricscope.dashboard.security.roles import Visitor, enter, leave
from fabricscope.dashboard.site import NoStore, Site, SiteConfig
from fabricscope.dashboard.view import View, read_view
from fabricscope.errors import ConfigError

CASE = Experiment("leaf-spine:2x2x2@100G", ("leaf1-spine1@20us",), ("dpfr", "bgp"),
                  "allreduce:ring:1MiB:iterations=3", timeout=8)  # fmt: skip


@pytest.fixture(scope="module")
def site() -> Site:
    return Site(NoStore(), None, SiteConfig())


@pytest.fixture(scope="module")
def bench(site: Site) -> Bench:
    assert bench_of(site) is bench_of(site)
    return bench_of(site)


def settle(bench: Bench, wanted: Experiment) -> list[Any]:
    for _ in range(900):
        shown = list(failover_work._follow(bench, wanted, None))
        if shown[1]:
            return shown
        time.sleep(0.1)
    raise AssertionError("the simulation did not end")


def test_a_run_is_followed_and_its_result_shown_on_the_map(bench: Bench, site: Site) -> None:
    assert "press Run" in failover_work._follow(bench, CASE, None)[0][0].children  # type: ignore[index]
    bench.begin(CASE)
    begun = failover_work._follow(bench, CASE, None)
    assert begun[1] is False
    status, _, _, state, names, first, window = settle(bench, CASE)
    assert status[0].children.startswith("Simulated in")
    assert (names, first, window) == (["dpfr", "bgp"], "dpfr", 2)
    result = failover_work._show(bench.begin(CASE).result)
    text = json.dumps(result, default=lambda one: one.to_plotly_json())
    assert "What each convergence is made of" in text
    assert list(failover_work._follow(bench, CASE, state)[3:]) == [no_update] * 4
    view = read_view(View(0, 1).query(**CASE.parameters()))
    document = failover_work._result(site, bench, view)
    assert document is not None
    for name in ("before", "during", "after"):
        elements, note = failover_work._draw(bench, CASE.fabric, CASE.failures, name, "bgp",
                                             document)  # fmt: skip
        assert f"loads {name} the failure under bgp" in str(note)
        assert any("failed" in one["classes"] for one in elements)  # type: ignore[attr-defined]
    figure, note, options = failover_work._overlay(site, View(0, 1), None, document)
    assert figure.data[0].name == "dpfr"  # type: ignore[attr-defined]
    assert options == []


def test_a_click_on_the_map_names_links_and_devices(bench: Bench) -> None:
    drawn = bench.drawn(CASE.fabric)
    assert bench.names(CASE.fabric, {"number": 0}) == drawn.lines[0]
    switch = next(name for name, devices in drawn.nodes.items() if devices == ("spine1",))
    assert bench.names(CASE.fabric, {"id": switch}) == ("spine1",)
    assert bench.names(CASE.fabric, {"number": 10_000}) == ()


def test_an_experiment_has_an_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failover_work, "_LIMIT_S", -1.0)
    long = dataclasses.replace(CASE, repetitions=99)
    bench.begin(long)
    shown = settle(bench, long)
    assert "takes longer than" in str(shown[0][0].children[1].children)


def test_viewers_call_nothing_off(bench: Bench) -> None:
    entered = enter(Visitor("eve", "viewer"))
    try:
        with pytest.raises(ConfigError, match="operator"):
            failover_work._cancel(bench, CASE)
    finally:
        leave(entered)


def test_what_an_address_cannot_hold_is_not_run() -> None:
    failover_work._check_kept(dataclasses.replace(CASE, schemes=()), CASE)
    many = dataclasses.replace(CASE, failures=tuple(f"a{n}-b@1ms" for n in range(17)))
    wanted = read_experiment(read_view(View(0, 1).query(**many.parameters())))
    with pytest.raises(ConfigError, match="too long for an address; take at most 16 failures"):
        failover_work._check_kept(many, wanted)


def test_what_cannot_be_run_is_one_sentence(bench: Bench) -> None:
    wrong = Experiment(CASE.fabric, ("leaf9-spine1@1ms",), ("dpfr",), CASE.workload)
    bench.begin(wrong)
    shown = settle(bench, wrong)
    assert "leaf9-spine1" in str(shown[0][0].children[1].children)
    elements, note = failover_work._draw(bench, "nonsense", (), "", None, None)
    assert elements == []
    assert "neither a preset nor a short form" in str(note)
    _, note = failover_work._draw(bench, CASE.fabric, ("<script>@1ms",), "", None, None)
    assert "no link '<script" in str(note)
