"""Outcomes, reasons and quantiles of ended connections."""

import random

import numpy as np

from fabricscope.analyzers.iwarp import layout as at
from fabricscope.analyzers.iwarp.fpdu.kernels import bucket_of
from fabricscope.analyzers.iwarp.report import bucket_middle_ns, quantiles_us, terminate_reason
from reference import iwarp_traffic as traffic
from reference.iwarp import Segment


def test_outcomes() -> None:
    opened = traffic.connection()
    request = opened[0]
    rejected = Segment(1, 5000, traffic.start_frame("Rep", reject=1))
    killed = traffic.connection(ulpdus=([traffic.terminate(1, 2, 2)], []))
    cases = [
        ([request], ("no reply", "")),
        (traffic.ended(17, 1, [request]), ("no reply", "closed without a reply")),
        (traffic.ended(4, 1, [request]), ("refused", "reset after the request")),
        ([request, rejected], ("refused", "reply with the reject bit")),
        (opened, ("connected", "")),
        (traffic.ended(17, 0, traffic.ended(17, 1, opened)), ("closed", "")),
        (traffic.ended(4, 0, opened), ("reset", "TCP reset")),
        (killed, ("terminated", "DDP: no buffer available for the message number")),
    ]
    for segments, wanted in cases:
        _, result = traffic.run(segments)
        for row in result.connections.rows(named=True):
            assert (row["state"], row["reason"]) == wanted
            assert row["initiator"] == (row["src_port"] == 40000)


def test_terminate_reasons() -> None:
    reasons = {
        0x01000000: "RDMAP: invalid STag",
        0x11040000: "DDP: invalid DDP version",
        0x12050000: "DDP: message too long for the buffer",
        0x10000000: "DDP: local catastrophic error",
        0x20020000: "MPA: MPA CRC error",
        0x207F0000: "MPA: error type 0, code 0x7f",
        0x50010000: "layer 5: error type 0, code 0x01",
    }
    for control, reason in reasons.items():
        assert terminate_reason(control) == reason


def test_time_buckets_are_within_a_sixteenth_of_an_octave() -> None:
    bucket = getattr(bucket_of, "py_func", bucket_of)
    rng = random.Random(1)
    for value in [*range(300), *(rng.randrange(1 << 42) for _ in range(2000))]:
        assert abs(bucket_middle_ns(bucket(value)) - value) <= value / 31
    assert bucket(1 << 60) == at.BUCKETS - 1
    assert bucket(-5) == 0


def test_quantiles() -> None:
    histogram = np.zeros(at.BUCKETS, np.int32)
    assert quantiles_us(histogram, 0) == {"p50": None, "p99": None, "max": None, "count": 0}
    histogram[10], histogram[20] = 98, 2
    assert quantiles_us(histogram, 20) == {"p50": 0.01, "p99": 0.02, "max": 0.02, "count": 100}
