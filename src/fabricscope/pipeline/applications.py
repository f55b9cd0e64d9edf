"""What each flow's application is: deep packet inspection, started when there is need for it.

Loading it takes time; traffic that is nothing but one-sided RDMA has no payload to look into and
does without.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.flows import ClosedFlows
from fabricscope.records import PROTOCOLS, Packets

if TYPE_CHECKING:
    import polars as pl

    from fabricscope.analyzers.dpi.engine import DpiAnalyzer
    from fabricscope.analyzers.dpi.verdicts import Verdicts

_ROCE_V1: Final = PROTOCOLS.index("roce_v1")
_INFINIBAND: Final = PROTOCOLS.index("infiniband")
_LAST_SEND: Final = 5  # opcodes 0 to 5 of every transport service carry a SEND
_OPERATION_BITS: Final = 31
_CNP: Final = 0x81
_JSON: Final = json.JSONEncoder(check_circular=False)


class Applications:
    """Names flows by payload; a thin door to `DpiAnalyzer`."""

    def __init__(self, signature_dirs: tuple[str, ...], flow_capacity: int) -> None:
        """Remember what to load; the user's own signatures are checked at once."""
        self._signature_dirs = signature_dirs
        self._flow_capacity = flow_capacity
        self._engine: DpiAnalyzer | None = None
        if signature_dirs:
            self._start()

    def update(
        self,
        view: NDArray[np.uint8],
        packets: Packets,
        flow: NDArray[np.int64],
        side: NDArray[np.uint8],
    ) -> None:
        """Look into a batch."""
        if self._engine is None:
            if not _has_payload_to_name(packets):
                return
            self._start()
        assert self._engine is not None
        self._engine.update(view, packets, flow, side)

    def close(self, closed: ClosedFlows) -> "pl.DataFrame":
        """Return the columns of the flows in `closed`, whose slots are free afterwards.

        application ('' unknown), application_source, application_confidence, detail (JSON text).
        """
        if self._engine is None:
            return self._kinds(closed)
        return _frame(self._engine.flow_closed(closed.slots))

    def peek(self, closed: ClosedFlows) -> "pl.DataFrame":
        """Return the same columns for flows that go on."""
        if self._engine is None:
            return self._kinds(closed)
        return _frame(self._engine.verdicts(closed.slots))

    def _kinds(self, closed: ClosedFlows) -> "pl.DataFrame":
        """Name flows by what the decoder recognised, where nobody looked into a payload."""
        import polars as pl

        kinds = [PROTOCOLS[kind] for kind in closed.flows["protocol"].tolist()]
        return pl.DataFrame(
            {
                "application": kinds,
                "application_source": ["payload"] * len(kinds),
                "application_confidence": [1.0] * len(kinds),
                "detail": [""] * len(kinds),
            },
            schema_overrides={"detail": pl.String},
        )

    def neighbours(self) -> list[dict[str, object]]:
        """Return the LLDP neighbours seen."""
        return [dict(one) for one in self._engine.neighbours()] if self._engine else []

    @property
    def counters(self) -> dict[str, int]:
        """What was looked at and what was given up for lack of room."""
        return self._engine.counters() if self._engine else {}

    def _start(self) -> None:
        from fabricscope.analyzers.dpi.engine import DpiAnalyzer
        from fabricscope.pipeline.signatures import load_signatures

        signatures = load_signatures([Path(folder) for folder in self._signature_dirs])
        self._engine = DpiAnalyzer(signatures, flow_capacity=self._flow_capacity)


def _has_payload_to_name(packets: Packets) -> bool:
    """Tell whether a batch holds anything but READs, WRITEs, atomics and their answers."""
    protocol = packets.protocol
    if bool(((protocol < _ROCE_V1) | (protocol > _INFINIBAND)).any()):
        return True
    opcode = packets.opcode
    return bool((((opcode & _OPERATION_BITS) <= _LAST_SEND) & (opcode != _CNP)).any())


def _frame(verdicts: "Verdicts") -> "pl.DataFrame":
    import polars as pl

    return pl.DataFrame(
        {
            "application": verdicts.application,
            "application_source": verdicts.application_source,
            "application_confidence": verdicts.confidence.astype(np.float64),
            "detail": [_JSON.encode(detail) if detail else "" for detail in verdicts.detail],
        },
        schema_overrides={"application": pl.String, "detail": pl.String},
    )
