"""Which counters say what: files of sysfs, RDMA counters, and the names that drivers give.

Several counters may tell the same trouble, whole or in part: the one that grew most is taken, so
that nothing is counted twice.
"""

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["INFINIBAND", "INTERFACE", "PAUSE_FRAMES", "Meanings", "of_driver"]

Meanings = dict[tuple[str, str], list[tuple[str, int]]]
"""(direction, field of PortInterval) to counters and what one of their steps is worth."""

PAUSE_FRAMES: Final = "pause_frames"
"""A field beside those of PortInterval: frames, where a driver does not keep the time."""

INTERFACE: Final[Meanings] = {
    ("up", "packets"): [("tx_packets", 1)],
    ("up", "bytes"): [("tx_bytes", 1)],
    ("up", "errors"): [("tx_errors", 1)],
    ("up", "discards"): [("tx_dropped", 1)],
    ("down", "packets"): [("rx_packets", 1)],
    ("down", "bytes"): [("rx_bytes", 1)],
    ("down", "errors"): [("rx_errors", 1), ("rx_crc_errors", 1), ("rx_frame_errors", 1)],
    # Not rx_dropped: it counts packets of protocols that nobody here listens to.
    ("down", "discards"): [("rx_missed_errors", 1), ("rx_fifo_errors", 1), ("rx_over_errors", 1)],
}
"""/sys/class/net/IF/statistics (Documentation/networking/statistics.rst of Linux)."""

INFINIBAND: Final[Meanings] = {
    ("up", "packets"): [("port_xmit_packets", 1)],
    ("up", "bytes"): [("port_xmit_data", 4)],
    ("up", "errors"): [("port_xmit_constraint_errors", 1)],
    ("up", "discards"): [("port_xmit_discards", 1)],
    ("up", "cnps"): [("rp_cnp_handled", 1)],
    ("up", "naks"): [("packet_seq_err", 1)],
    ("down", "packets"): [("port_rcv_packets", 1)],
    ("down", "bytes"): [("port_rcv_data", 4)],
    ("down", "errors"): [
        ("port_rcv_errors", 1),
        ("symbol_error", 1),
        ("local_link_integrity_errors", 1),
        ("rx_icrc_encapsulated", 1),
    ],
    ("down", "discards"): [
        ("excessive_buffer_overrun_errors", 1),
        ("VL15_dropped", 1),
        ("out_of_buffer", 1),
    ],
    ("down", "cnps"): [("np_cnp_sent", 1)],
    ("down", "naks"): [("out_of_sequence", 1)],
    ("down", "ecn_marked"): [("np_ecn_marked_roce_packets", 1)],
}
"""/sys/class/infiniband/DEV/ports/N/{counters,hw_counters} (Documentation/ABI of Linux)."""

_SIDES: Final = r"(?:port\.)?(?:(?P<side>rx|tx)_)?"
_TAIL: Final = r"(?:\.nic)?"
_DRIVER: Final = (
    ("errors", 1, rf"{_SIDES}\w*(?:crc_err|fcs_err|symbol_err|fec_uncorr|uncorrectable)\w*{_TAIL}"),
    ("discards", 1, rf"{_SIDES}(?:\w*discards\w*|out_of_buffer|no_buffer\w*|missed\w*){_TAIL}"),
    ("pause_ns", 1_000, rf"{_SIDES}(?:global|prio\d)_pause_duration"),
    (
        PAUSE_FRAMES,
        1,
        rf"{_SIDES}(?:(?:global_|prio_?\d_)?pause(?:_frames|_ctrl_phy)?|flow_control_xoff"
        rf"|pfc(?:_ena)?(?:_frames)?(?:_pri\d)?|priority_\d_xoff){_TAIL}",
    ),
    (PAUSE_FRAMES, 1, rf"(?:port\.)?link_xoff_(?P<side>rx|tx){_TAIL}"),
)
_COMPILED: Final = [(field, worth, re.compile(pattern)) for field, worth, pattern in _DRIVER]


def of_driver(names: Iterable[str]) -> Meanings:
    """Return what a driver's statistics of these names say.

    A pause frame that was received holds what this host sends; one that it sent, what it receives.
    """
    result: Meanings = {}
    for name in names:
        for field, worth, pattern in _COMPILED:
            found = pattern.fullmatch(name)
            if not found:
                continue
            received = found["side"] != "tx"
            paused = field in ("pause_ns", PAUSE_FRAMES)
            direction = "up" if received == paused else "down"
            result.setdefault((direction, field), []).append((name, worth))
    return result
