"""Schemes by name, their parameters and profiles, and what users misspell."""

import json

import numpy as np
import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.recovery.parameters import PROFILES
from fabricscope.topology.recovery.registry import SCHEMES, describe_parameters, make_scheme


@pytest.mark.parametrize("profile", sorted(PROFILES))
@pytest.mark.parametrize("name", sorted(SCHEMES))
def test_every_scheme_plans_and_describes_itself(situate, name, profile):
    scheme = make_scheme(name, profile)
    assert scheme.name == name
    situation = situate("leaf-spine:3x2x1@100G", "leaf0-spine0@1ms..2s")
    plans = [scheme.plan(situation, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert plans[0].changes == plans[1].changes
    times = [change.time_ns for change in plans[0].changes]
    assert times == sorted(times)
    for parameter in describe_parameters(name, profile):
        assert parameter.description
        assert parameter.source
        json.dumps(parameter.value, allow_nan=False)


def test_settings_change_parameters():
    scheme = make_scheme("bfd", "asic", {"bfd_interval": "10ms", "bfd_multiplier": 5})
    assert scheme.parameters.bfd_interval == 10e6
    assert scheme.parameters.bfd_multiplier == 5
    assert scheme.parameters.bfd is True


def test_profiles_differ_where_they_say_so():
    asic = {entry.name: entry for entry in describe_parameters("dpfr", "asic")}
    frr = {entry.name: entry for entry in describe_parameters("dpfr", "frr")}
    changed = {name for name in asic if asic[name].value != frr[name].value}
    assert changed == {"detection", "notify", "install", "local_install"}
    assert all("lab" in frr[name].source for name in changed)


@pytest.mark.parametrize(
    ("name", "profile", "settings", "part"),
    [
        ("dpfx", "asic", {}, "did you mean dpfr"),
        ("zzz", "asic", {}, "there are none, dpfr"),
        ("bgp", "gold", {}, "asic or frr"),
        ("bgp", "asic", {"holdtime": "1s"}, "no parameter 'holdtime'"),
        ("bgp", "asic", {"hold_time": "later"}, "recovery bgp, parameter hold_time"),
        ("bgp", "asic", {"process": "3ms..1ms"}, "parameter process"),
        ("bfd", "asic", {"bfd_interval": "0ms"}, "parameter bfd_interval"),
        ("dpfr-sampled", "asic", {"sampler": 0}, "parameter sampler"),
        ("dpfr-sampled", "asic", {"sampler": 65536}, "parameter sampler"),
        ("dpfr", "asic", {"fallback": "dpfr"}, "cannot run beneath"),
        ("dpfr", "asic", {"fallback": "what"}, "unknown"),
        ("none", "asic", {"x": 1}, "it has none"),
    ],
)
def test_misspelt_schemes_are_one_sentence(name, profile, settings, part):
    with pytest.raises(FabricError) as caught:
        make_scheme(name, profile, settings)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)
