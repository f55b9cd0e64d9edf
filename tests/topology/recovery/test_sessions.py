"""Sessions end with the carrier, after silence, or when BFD misses packets: whatever is first."""

from types import SimpleNamespace

import numpy as np
import pytest

from fabricscope.topology.builders import build
from fabricscope.topology.failure_specs import compile_failure, parse_failure
from fabricscope.topology.recovery.durations import fixed
from fabricscope.topology.recovery.registry import make_scheme
from fabricscope.topology.recovery.sessions import find_session_news


def _first_ns(spec, bfd, silence_ns):
    fabric = build("leaf-spine:2x2x1@100G")
    situation = SimpleNamespace(fabric=fabric, failure=compile_failure(parse_failure(spec), fabric))
    given = SimpleNamespace(
        bfd=bfd,
        bfd_interval=1e6,
        bfd_multiplier=3,
        carrier_detection=fixed(10e3),
        restore=fixed(1e3),
    )
    rng = np.random.default_rng(1)
    return find_session_news(situation, given, lambda: silence_ns, rng)[0].time_ns


@pytest.mark.parametrize(
    ("spec", "bfd", "silence_ns", "least_ns", "most_ns"),
    [
        ("leaf0-spine0@1us", True, 9e9, 11_000, 11_000),
        ("leaf0-spine0@1us:silent", False, 9e9, 9e9 + 1_000, 9e9 + 1_000),
        ("leaf0-spine0@1us:silent", True, 9e9, 2e6, 3e6 + 1_000),
        ("leaf0-spine0@1us:silent", True, 5e5, 501_000, 501_000),
    ],
)
def test_the_first_way_to_notice_counts(spec, bfd, silence_ns, least_ns, most_ns):
    assert least_ns <= _first_ns(spec, bfd, silence_ns) <= most_ns


def test_linux_notices_ports_alike_under_every_protocol():
    bgp, ospf = (make_scheme(name, "frr").parameters for name in ("bgp", "ospf"))
    assert bgp.carrier_detection == ospf.carrier_detection
    assert bgp.local_repair == ospf.local_repair
