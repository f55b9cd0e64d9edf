"""What each behaviour is known by: a table of conditions on features, no code.

A condition is 0 at `absent`, 1 at `full` and runs between them, by ratio where both are positive.
A pattern is as true as its weakest condition, times its weight; a behaviour as true as its best
pattern. The numbers are orders of magnitude of the behaviour itself (a person waits for more than
50 ms, a heartbeat carries a few kilobytes), not of any capture.
"""

from typing import Final, NamedTuple


class Condition(NamedTuple):
    """A feature's value at which it says nothing, and at which it says all."""

    feature: str
    absent: float
    full: float


class Pattern(NamedTuple):
    """One way to recognise a behaviour; `weight`: how sure it makes alone, at most 1."""

    behaviour: str
    weight: float
    conditions: tuple[Condition, ...]


_C = Condition
KIB: Final = 1024.0
MIB: Final = 1024.0 * KIB

PATTERNS: Final = (
    # Ranks pass on what they receive, all at the same time.
    Pattern(
        "collective_burst",
        1.0,
        (_C("relay", 0.3, 0.9), _C("larger_bytes", 8 * KIB, 32 * KIB)),
    ),
    Pattern(
        "collective_burst",
        0.85,
        (_C("relay", 0.2, 0.55), _C("larger_bytes", 8 * KIB, 32 * KIB)),
    ),
    # Two ranks that exchange equal parts at the same time: halving and doubling, trees.
    Pattern(
        "collective_burst",
        0.85,
        (
            _C("exchange", 0.8, 0.97),
            _C("larger_bytes", 8 * KIB, 24 * KIB),
            _C("data_bytes_mean", 300, 800),
        ),
    ),
    # The same less exactly, in repeated bursts.
    Pattern(
        "collective_burst",
        0.85,
        (
            _C("exchange", 0.3, 0.7),
            _C("larger_bytes", 64 * KIB, MIB),
            _C("bursts", 2, 6),
            _C("burst_bytes_cv", 1.2, 0.5),
            _C("data_bytes_mean", 300, 1000),
        ),
    ),
    # One link of a ring alone: equal bursts at the rate of the link, with pauses between them.
    Pattern(
        "collective_burst",
        0.7,
        (
            _C("bursts", 3, 8),
            _C("burst_bytes", 16 * KIB, 256 * KIB),
            _C("burst_bytes_cv", 1.0, 0.3),
            _C("burst_interval_cv", 1.2, 0.5),
            _C("burst_rate_mbps", 50, 500),
            _C("upload_share", 0.5, 0.9),
            _C("data_bytes_mean", 300, 1000),
        ),
    ),
    # Anything sizeable between ranks of one job, while it runs.
    Pattern(
        "collective_burst",
        0.9,
        (_C("between_ranks", 0.3, 0.8), _C("larger_bytes", 16 * KIB, 128 * KIB)),
    ),
    Pattern(
        "checkpoint_write",
        0.95,
        (
            _C("upload_share", 0.6, 0.95),
            _C("larger_bytes", 64 * KIB, 512 * KIB),
            _C("data_bytes_mean", 300, 1000),
            _C("storage_context", 0, 1),
        ),
    ),
    Pattern(
        "dataset_read",
        0.95,
        (
            _C("download_share", 0.6, 0.95),
            _C("larger_bytes", 16 * KIB, 64 * KIB),
            _C("data_bytes_mean", 300, 1000),
            _C("object_repeats", 1, 5),
        ),
    ),
    # One connection over which equal parts are read again and again, each on a short request.
    Pattern(
        "dataset_read",
        0.85,
        (
            _C("download_share", 0.6, 0.95),
            _C("data_bytes_mean", 300, 1000),
            _C("turns", 4, 12),
            _C("bytes_per_turn", 16 * KIB, 128 * KIB),
            _C("burst_bytes_cv", 1.5, 0.6),
        ),
    ),
    Pattern(
        "dataset_read",
        0.85,
        (
            _C("download_share", 0.6, 0.95),
            _C("larger_bytes", 64 * KIB, MIB),
            _C("data_bytes_mean", 300, 1000),
            _C("a_is_rank", 0, 1),
        ),
    ),
    Pattern(
        "bulk_transfer",
        0.75,
        (
            _C("one_way_share", 0.7, 0.95),
            _C("larger_bytes", 4 * KIB, 256 * KIB),
            _C("data_bytes_mean", 300, 1000),
            _C("rate_mbps", 0.3, 5),
        ),
    ),
    Pattern(
        "streaming",
        0.9,
        (
            _C("data_s", 2, 10),
            _C("bin_active", 0.3, 0.8),
            _C("bin_cv", 1.5, 0.6),
            _C("rate_mbps", 0.008, 0.03),
            _C("rate_mbps", 200, 50),
            _C("paced", 0, 1),
        ),
    ),
    # Chunks of one size at a steady pace: a player that fills its buffer.
    Pattern(
        "streaming",
        0.85,
        (
            _C("data_s", 5, 20),
            _C("bursts", 4, 8),
            _C("burst_interval_s", 0.3, 1),
            _C("burst_interval_cv", 1.0, 0.4),
            _C("burst_bytes", 8 * KIB, 64 * KIB),
            _C("rate_mbps", 200, 50),
        ),
    ),
    Pattern(
        "request_response",
        0.6,
        (
            _C("turns", 0.5, 1),
            _C("both_bytes", 0.5, 1),
            _C("bytes_per_turn", 256 * KIB, 32 * KIB),
        ),
    ),
    # The same short exchange again and again, each time over a connection of its own.
    Pattern(
        "periodic_control",
        0.9,
        (
            _C("repeats", 2, 5),
            _C("repeat_interval_s", 0.01, 0.1),
            _C("repeat_steady", 0.05, 0.35),
            _C("turns", 0.5, 1),
            _C("larger_bytes", 256 * KIB, 32 * KIB),
            _C("packets", 4, 8),
        ),
    ),
    # A beat inside one flow.
    Pattern(
        "periodic_control",
        0.95,
        (
            _C("bursts", 3, 6),
            _C("burst_interval_s", 0.005, 0.05),
            _C("burst_interval_cv", 0.6, 0.2),
            _C("burst_bytes", 8 * KIB, 2 * KIB),
            _C("burst_bytes_cv", 1.0, 0.4),
            _C("burst_duty", 0.6, 0.2),
        ),
    ),
    # The same exchange again and again inside one flow, at a looser pace.
    Pattern(
        "periodic_control",
        0.75,
        (
            _C("bursts", 4, 10),
            _C("burst_interval_s", 0.02, 0.1),
            _C("burst_interval_cv", 1.3, 0.7),
            _C("burst_bytes", 64 * KIB, 8 * KIB),
            _C("burst_bytes_cv", 0.3, 0.05),
            _C("burst_duty", 0.6, 0.2),
        ),
    ),
    Pattern(
        "interactive",
        0.85,
        (
            _C("turns", 8, 30),
            _C("data_bytes_mean", 600, 200),
            _C("bytes_per_turn", 2 * KIB, 300),
            _C("think_s", 0.03, 0.15),
            _C("data_s", 2, 10),
            _C("burst_interval_cv", 0.3, 0.8),
        ),
    ),
    Pattern(
        "scan",
        0.95,
        (_C("fruitless", 4, 20), _C("fruitless_share", 0.3, 0.8), _C("a_payload", 600, 200)),
    ),
    Pattern("idle", 0.7, (_C("payload", 64, 1),)),
    Pattern(
        "idle",
        0.8,
        (_C("data_s", 10, 60), _C("rate_bps", 200, 20), _C("burst_interval_cv", 0.2, 0.6)),
    ),
    Pattern(
        "idle",
        0.5,
        (_C("b_packets", 1, 0.5), _C("larger_bytes", 4 * KIB, KIB)),
    ),
    # Wants more than it gets: much to send, and marks to show for it, or repetitions and less
    # speed than its like.
    Pattern(
        "congestion_victim",
        1.0,
        (_C("ce_share", 0.02, 0.1), _C("larger_bytes", 64 * KIB, 512 * KIB)),
    ),
    Pattern(
        "congestion_victim",
        1.0,
        (
            _C("repeat_share", 0.02, 0.08),
            _C("repeated", 8, 64),
            _C("slowdown", 1, 2),
            _C("larger_bytes", 64 * KIB, 512 * KIB),
        ),
    ),
    Pattern(
        "congestion_victim",
        1.0,
        (_C("repeat_share", 0.08, 0.25), _C("repeated", 16, 128)),
    ),
)
