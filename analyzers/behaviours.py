"""The names of behaviours, for whoever needs no more than them."""

from typing import Final

BEHAVIOURS: Final = (
    "collective_burst",
    "checkpoint_write",
    "dataset_read",
    "bulk_transfer",
    "streaming",
    "request_response",
    "periodic_control",
    "interactive",
    "scan",
    "congestion_victim",
    "idle",
)
"""What a flow may be found to do; the patterns of each are in `behaviour.classes`."""
