"""Outages drawn from the schemes' own plans."""

import numpy as np

from fabricscope.topology.availability.outages import DRAWS, draw_outages


def test_schemes_differ_as_their_plans_do():
    dpfr, none = (draw_outages(name, "asic", np.random.default_rng(1)) for name in ("dpfr", "none"))
    assert len(dpfr.link) == DRAWS
    assert dpfr.link.max() < 1e6
    assert dpfr.switch.max() < 1e6
    assert dpfr.silent_link.min() > 1e9
    assert np.isinf(none.link).all()
