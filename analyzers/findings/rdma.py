"""Findings about queue pairs: loss, time-outs, refusals, stalls, congestion, order."""

from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fabricscope.analyzers.findings.finding import MAX_FRAMES, Finding, counted, queue_pair_filter
from fabricscope.analyzers.rdma import layout
from fabricscope.analyzers.rdma.table import QueuePairTable

Row = dict[str, Any]

_ERROR_ACTIONS = {
    "invalid_request": "The responder rejected it: check operation, length and queue depth.",
    "remote_access_error": "The R_Key, address or access right was wrong: see the application.",
    "remote_operational_error": "The responder failed inside: check its NIC and driver log.",
    "other": "An undefined NAK code: check the NICs' firmware.",
}


class Place(NamedTuple):
    """Frames to open, and the capture that they are in."""

    frames: list[int]
    capture: str


class QueuePairFindings:
    """Makes the findings of one queue-pair table."""

    def __init__(self, table: QueuePairTable, frame: pl.DataFrame, capture: str = "") -> None:
        """Take the settled table and its data frame.

        capture: the file of the frame numbers; '' when there are several, each a tap: then every
        finding names the one that its frames are in.
        """
        self._table = table
        self._rows: list[Row] = frame.to_dicts()
        self._capture = capture
        taps = table.queue_pairs["tap"].tolist()
        self._taps = {taps[row["slot"]]: str(row["tap"]) for row in self._rows}

    def all(self) -> list[Finding]:
        """Return every finding."""
        findings: list[Finding] = []
        for row in self._rows:
            for check in (
                self._timeouts,
                self._loss,
                self._receiver_not_ready,
                self._transport_errors,
                self._stalled,
                self._congestion,
                self._reordering,
                self._duplicates,
                self._unresolved,
            ):
                finding = check(row)
                if finding is not None:
                    findings.append(finding)
        return findings

    def _make(
        self,
        row: Row,
        severity: str,
        kind: str,
        text: str,
        action: str,
        place: Place,
        weight: float,
        **evidence: float | int | str | None,
    ) -> Finding:
        return Finding(
            severity=severity,
            kind=kind,
            subject=f"{row['src']} -> {row['dst']} QP 0x{row['dest_qp']:x}",
            text=text,
            action=action,
            evidence=evidence,
            packets=place.frames[:MAX_FRAMES],
            capture=place.capture,
            filter=queue_pair_filter(row["src"], row["dst"], row["dest_qp"], row["paired_qp"]),
            weight=weight,
        )

    def _events(self, kind: int, row: Row) -> NDArray[np.void]:
        events = self._table.events(kind)
        own: NDArray[np.void] = events[events["qp"] == row["slot"]]
        return own

    def _frames(self, row: Row, *kinds: int) -> Place:
        """Return the frames of this queue pair's events of `kinds`, with what they answer.

        With several captures: the frames of the one that saw the first of these events.
        """
        events = [self._events(kind, row) for kind in kinds]
        if self._capture:
            found = {
                frame
                for some in events
                for name in ("frame", "cause_frame")
                for frame in some[name][:MAX_FRAMES].tolist()
            }
            return Place(sorted(found - {0}), self._capture)
        tap = next((int(some["tap"][0]) for some in events if len(some)), -1)
        found = {
            frame
            for some in events
            for frame in some["frame"][some["tap"] == tap][:MAX_FRAMES].tolist()
        }
        return Place(sorted(found), self._taps.get(tap, str(row["tap"])))

    def _here(self, row: Row, frames: list[int]) -> Place:
        """Return `frames` as frames of the capture that saw the queue pair first."""
        return Place(frames, self._capture or str(row["tap"]))

    def _recoveries(self, row: Row, cause: int) -> NDArray[np.void]:
        events = self._events(layout.EVENT_RECOVERY, row)
        own: NDArray[np.void] = events[events["code"] == cause]
        return own

    def _timeouts(self, row: Row) -> Finding | None:
        count = row["timeouts"]
        if not count:
            return None
        events = self._recoveries(row, layout.CAUSE_TIMEOUT)
        waits = events["second_ns"][events["second_ns"] >= 0] / 1e6
        longest = float(waits.max()) if waits.size else None
        waited = f", the longest wait {longest:,.1f} ms" if longest is not None else ""
        return self._make(
            row,
            "critical",
            "ack_timeout",
            f"{'Once' if count == 1 else f'{count:,} times'} nothing drew a NAK and the sender "
            f"went on only after its ACK time-out{waited}; "
            f"{counted(row['retransmissions'], 'packet')} sent again.",
            "The end of a message, or its ACK, is being lost: look for drops on this path, and "
            "lower the ACK time-out of the queue pairs if the jobs cannot afford the wait.",
            self._here(row, sorted(events["frame"].tolist())),
            1e6 + count,
            timeouts=count,
            longest_wait_ms=longest,
            retransmissions=row["retransmissions"],
            network_lost=row["network_lost"],
        )

    def _loss(self, row: Row) -> Finding | None:
        lost = row["network_lost"]
        if not lost:
            return None
        share = lost / max(row["packets"], 1)
        response = row["nak_response_p50"]
        answered = f", answered after {response:,.1f} µs (median)" if response is not None else ""
        return self._make(
            row,
            "critical" if share >= 0.001 else "warning",
            "network_loss",
            f"{counted(lost, 'packet')} lost in the network ({share:.3%} of this direction): "
            f"{counted(row['naks_sequence'], 'sequence NAK')}{answered}, "
            f"{counted(row['timeouts'], 'time-out')}, "
            f"{counted(row['retransmissions'], 'packet')} sent again.",
            "Check drop, CRC and FEC counters on the links of this path, and whether the priority "
            "is lossless (PFC, buffer headroom) end to end.",
            self._frames(row, layout.EVENT_NETWORK_LOSS, layout.EVENT_NAK),
            float(lost),
            network_lost=lost,
            naks=row["naks_sequence"],
            retransmissions=row["retransmissions"],
            timeouts=row["timeouts"],
            nak_generation_us_p50=row["nak_generation_p50"],
            nak_response_us_p50=response,
            retransmission_us_p50=row["retransmission_p50"],
            collector_lost=row["collector_lost"],
        )

    def _receiver_not_ready(self, row: Row) -> Finding | None:
        count = row["rnr_naks"]
        if not count:
            return None
        return self._make(
            row,
            "warning",
            "receiver_not_ready",
            f"{counted(count, 'RNR NAK')}: the receiver had no buffer posted (timer code "
            f"{row['rnr_timer']}).",
            "The receiving application posts receives too late or too few: check its host for "
            "overload, and the receive queue depth.",
            self._frames(row, layout.EVENT_RNR),
            float(count),
            rnr_naks=count,
            rnr_timer=row["rnr_timer"],
        )

    def _transport_errors(self, row: Row) -> Finding | None:
        counts = self._table.queue_pairs["nak_codes"][row["slot"]].tolist()
        errors = {n: c for n, c in zip(layout.NAK_NAMES, counts, strict=True) if c}
        errors.pop("sequence_error", None)
        if not errors:
            return None
        worst = next(iter(errors))
        named = ", ".join(f"{count} x {name.replace('_', ' ')}" for name, count in errors.items())
        return self._make(
            row,
            "critical",
            "transport_error",
            f"The connection was ended by a fatal NAK: {named}.",
            _ERROR_ACTIONS[worst],
            self._frames(row, layout.EVENT_TRANSPORT_ERROR),
            1e5,
            **errors,
        )

    def _stalled(self, row: Row) -> Finding | None:
        if row["state"] != "stalled":
            return None
        return self._make(
            row,
            "critical",
            "stalled_transfer",
            "A transfer was under way, then neither side sent anything until the capture ended.",
            "Find out whether the peer still lives and whether its path is up; a collective that "
            "uses this queue pair waits for it.",
            self._here(row, [row["last_frame"]]),
            1e5,
            messages=row["messages"],
            packets=row["packets"],
        )

    def _congestion(self, row: Row) -> Finding | None:
        marked, cnps = row["ecn_marked"], row["cnps"]
        if not marked and not cnps:
            return None
        ratio = marked / row["ecn_capable"] if row["ecn_capable"] else 0.0
        severity = "warning" if ratio >= 0.05 or cnps >= 100 else "notice"
        return self._make(
            row,
            severity,
            "congestion",
            f"{marked} of {row['ecn_capable']} ECN-capable data packets marked CE ({ratio:.2%}); "
            f"{counted(cnps, 'CNP')} told the sender to slow down.",
            "Look for incast and for uneven spreading over the uplinks on this path; compare the "
            "ECN thresholds with the switches' buffers.",
            self._frames(row, layout.EVENT_ECN, layout.EVENT_CNP),
            ratio * 1000 + cnps,
            ecn_marked=marked,
            ecn_capable=row["ecn_capable"],
            ecn_ratio=ratio,
            cnps=cnps,
        )

    def _reordering(self, row: Row) -> Finding | None:
        count = row["out_of_order"]
        if not count:
            return None
        return self._make(
            row,
            "notice",
            "reordering",
            f"{counted(count, 'packet')} arrived late without a loss, overtaken by at most "
            f"{counted(row['max_displacement'], 'packet')}.",
            "Per-packet spraying does this by design; without it, look for parallel paths of "
            "unequal delay. NICs that do not tolerate it answer with NAKs.",
            self._frames(row, layout.EVENT_OUT_OF_ORDER),
            float(count),
            out_of_order=count,
            max_displacement=row["max_displacement"],
        )

    def _duplicates(self, row: Row) -> Finding | None:
        count = row["duplicates"]
        if not count:
            return None
        return self._make(
            row,
            "notice",
            "mirror_duplicates",
            f"{counted(count, 'packet')} captured twice without a cause for sending them again.",
            "The mirror copies this traffic more than once (both directions or two ports of one "
            "path): mirror one direction only.",
            self._frames(row, layout.EVENT_DUPLICATE),
            float(count),
            duplicates=count,
        )

    def _unresolved(self, row: Row) -> Finding | None:
        count = row["unresolved_lost"]
        if not count:
            return None
        reliable = row["service"] in ("RC", "XRC")
        return self._make(
            row,
            "notice",
            "unexplained_gap",
            f"{counted(count, 'packet')} missing: neither an ACK nor a NAK tells where to.",
            "Mirror the other direction too: its acknowledgements tell network loss from loss by "
            "the mirror."
            if reliable
            else f"No answer is due on {row['service']}: compare the port counters along the path "
            "with the drops of the mirror.",
            self._here(row, [row["first_frame"]]),
            float(count),
            unresolved_lost=count,
            sequence_gaps=row["sequence_gaps"],
        )
