"""What is said of flows: name, source and confidence from the state that matching left.

The state is read a column at a time, for some flows at once.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.dpi.correlation import Announcements, Endpoint
from fabricscope.analyzers.dpi.extractors.text import Detail
from fabricscope.analyzers.dpi.state import STAGE_NEW, FlowState
from fabricscope.analyzers.dpi.tables import CompiledSignatures

ACCEPTED_SCORE: Final = 500
CONFIDENCE_PORT: Final = 0.3
CONFIDENCE_CORRELATION: Final = 0.9
CONFIDENCE_OFF_PORT: Final = 0.95
"""Factor for a payload verdict on a port that is none of the protocol's."""

FLOWS_AT_ONCE: Final = 64
"""Flows whose state is turned into Python numbers together: quick, and below the few hundred
objects alive at a time that set off Python's garbage collector, which walks the whole process."""

_NOTHING: Final = ("", "", 0.0)


class Verdicts(NamedTuple):
    """Verdicts of some flows, one entry a flow; all lists have the same length.

    `application`: protocol name, "" where unknown; `application_source`: "handshake" (both
    directions agree), "payload" (one direction matched, or the headers say it), "correlation"
    (another flow announced it), "port" (a guess), "" where unknown; `confidence` 0 to 1; `detail`:
    what the extractors read, untrusted strings already made printable and short.
    """

    application: list[str]
    application_source: list[str]
    confidence: NDArray[np.float32]
    detail: list[Detail]


class _Flow(NamedTuple):
    """One flow's columns of `FlowState` as plain numbers."""

    stage: int
    application: int
    rule: int
    score: int
    transport: int
    agreed: int
    seen: int
    ports: list[int]
    sequence: list[int]
    address: list[int]
    opened_ns: int

    def end(self, side: int) -> Endpoint:
        """Return address and port of one side."""
        return Endpoint(self.address[2 * side], self.address[2 * side + 1], self.ports[side])


class Judge:
    """Makes verdicts; keeps only what it looked up in the signatures."""

    def __init__(self, signatures: CompiledSignatures, announcements: Announcements) -> None:
        """Remember where names come from."""
        self._signatures = signatures
        self._announcements = announcements
        self._ports: dict[tuple[int, int], frozenset[int]] = {}

    def judge(
        self, slots: NDArray[np.int64], state: FlowState, details: dict[int, Detail]
    ) -> Verdicts:
        """Return the verdicts of the flows in `slots`; `details` by slot."""
        verdicts = Verdicts([], [], np.zeros(len(slots), np.float32), [])
        for start in range(0, len(slots), FLOWS_AT_ONCE):
            self._judge_some(slots[start : start + FLOWS_AT_ONCE], start, state, details, verdicts)
        return verdicts

    def _judge_some(
        self,
        slots: NDArray[np.int64],
        start: int,
        state: FlowState,
        details: dict[int, Detail],
        verdicts: Verdicts,
    ) -> None:
        """Append the verdicts of the flows in `slots`, the first of which has index `start`."""
        columns = (getattr(state, name)[slots].tolist() for name in _Flow._fields)
        named_ends = self._announcements.has_names
        confidence: list[float] = []
        for slot, *values in zip(slots.tolist(), *columns, strict=True):
            flow = _Flow(*values)
            name, source, value = self._verdict(flow)
            verdicts.application.append(name)
            verdicts.application_source.append(source)
            confidence.append(value)
            detail = dict(details.get(slot, {}))
            if named_ends:
                self._add_names(detail, flow.address)
            verdicts.detail.append(detail)
        verdicts.confidence[start : start + len(slots)] = confidence

    def _verdict(self, flow: _Flow) -> tuple[str, str, float]:
        """Return name, source and confidence of one flow."""
        if flow.stage == STAGE_NEW:
            return _NOTHING
        if flow.rule >= 0 and flow.score >= ACCEPTED_SCORE:
            return (
                self._signatures.name(flow.application),
                "handshake" if flow.agreed else "payload",
                round(flow.score / 1000 * self._port_factor(flow), 3),
            )
        announced = self._announcements.find(
            flow.end(0), flow.end(1), flow.transport, tuple(flow.sequence), flow.opened_ns
        )
        if announced:
            return announced, "correlation", CONFIDENCE_CORRELATION
        if flow.application and flow.rule < 0:
            return self._signatures.name(flow.application), "payload", round(flow.score / 1000, 3)
        guess = self._guess(flow)
        return (guess, "port", CONFIDENCE_PORT) if guess else _NOTHING

    def _port_factor(self, flow: _Flow) -> float:
        if flow.transport > 1:
            return 1.0
        key = (flow.application, flow.transport)
        if key not in self._ports:
            self._ports[key] = frozenset(self._signatures.ports(*key).tolist())
        ports = self._ports[key]
        return 1.0 if not ports or not ports.isdisjoint(flow.ports) else CONFIDENCE_OFF_PORT

    def _guess(self, flow: _Flow) -> str:
        """Guess by port where no payload speaks against it: there was none at all."""
        if flow.transport > 1 or flow.seen > 0:
            return ""
        for port in sorted(flow.ports):
            application = int(self._signatures.tables.port_application[flow.transport, port])
            if application:
                return self._signatures.name(application)
        return ""

    def _add_names(self, detail: Detail, address: list[int]) -> None:
        """Add the names that DNS answers gave the flow's addresses."""
        if name := self._announcements.name_of(address[0], address[1]):
            detail["src_name"] = name
        if name := self._announcements.name_of(address[2], address[3]):
            detail["dst_name"] = name
