"""Features of a behaviour are read as people write numbers."""

import pytest

from fabricscope.dashboard.features import describe_features


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "upload_share=1, larger_bytes=5.36e+06, data_bytes_mean=8.91e+03",
            "upload 100 %, larger direction 5.11 MiB, mean of data packets 8.70 KiB",
        ),
        (
            "bursts=4, burst_interval_s=2.8, burst_interval_cv=0.113, rate_mbps=88.9",
            "bursts 4, burst interval 2.80 s, burst interval cv 0.113, rate 88.9 Mb/s",
        ),
        (
            "answers flow 12: repeats=1.2e+03, otherwise idle",
            "answers flow 12: repeats 1,200, otherwise idle",
        ),
        ("", ""),
        ("an answer=yes", "an answer=yes"),
    ],
)
def test_features_have_units_and_no_exponents(text: str, said: str) -> None:
    assert describe_features(text) == said
