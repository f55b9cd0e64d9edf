"""One tap: merges its rows, lets the mirror lose and repeat some, and counts what is left."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.synthetic import tables as t
from fabricscope.collectors.synthetic.background import Static
from fabricscope.collectors.synthetic.recipe import Mirror, Recipe
from fabricscope.collectors.synthetic.tables import Simulation, Table
from fabricscope.collectors.synthetic.taps.kernels import count_rows
from fabricscope.collectors.synthetic.writer import PcapWriter

LIST_LIMIT = 10_000
"""Frame numbers and lost packets that are listed for a kind; beyond that they are counted."""
LISTED = ("nak", "rnr_nak", "cnp", "ce", "retransmission", "duplicate", "pfc", "pause", "cm")


@dataclass(slots=True)
class Recording:
    """What a tap has recorded so far; the columns are those of `tables.COUNT`."""

    counts: Table
    seen: NDArray[np.uint8]
    spans: NDArray[np.int64]
    opcodes: NDArray[np.int64]
    kinds: NDArray[np.int64]
    packets: int = 0
    mirrored: int = 0
    mirror_lost: int = 0
    first_ns: int = -1
    last_ns: int = -1
    frames: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in LISTED})
    lost_packets: list[dict[str, int]] = field(default_factory=list)
    event_frames: dict[int, dict[str, int]] = field(default_factory=dict)


class Recorder:
    """Turns the rows that a tap sees into its capture file and its part of the truth."""

    def __init__(
        self, recipe: Recipe, number: int, sim: Simulation, static: Static, spans: int
    ) -> None:
        """Prepare tap `number` of the recipe; nothing is written before `feed`."""
        self.tap = recipe.capture.taps[number]
        self.number = number
        self.sim = sim
        self.faults = {
            position: fault
            for position, fault in enumerate(recipe.faults)
            if isinstance(fault, Mirror) and fault.tap in ("", self.tap.name)
        }
        self.fault_hits = dict.fromkeys(self.faults, 0)
        self.start_ns = recipe.capture.start_s * 1_000_000_000
        self._rng = np.random.default_rng((recipe.seed, number))
        self._static = self._static_rows(static, int(recipe.network.latency_us * 1000))
        self._copies = t.table(t.ROW, 0)
        self.recording = self._new_recording(spans)

    def _new_recording(self, spans: int) -> Recording:
        flows = self.sim.flows
        counts = t.table(t.COUNT, len(flows))
        for name in ("first_ns", "highest", "response_highest"):
            counts[name] = -1
        packets = np.zeros(len(flows), np.int64)
        transfers = self.sim.tasks[self.sim.tasks["flow"] >= 0]
        np.add.at(packets, transfers["flow"], transfers["packets"])
        ends = np.cumsum(np.concatenate((packets, packets[flows["reverse"]])))
        starts = np.concatenate(([0], ends))[:-1]
        counts["data_base"] = starts[: len(flows)]
        counts["response_base"] = starts[len(flows) :]
        bits = int(ends[-1]) if len(ends) else 0
        return Recording(
            counts,
            np.zeros(bits // 8 + 1, np.uint8),
            np.full((max(1, spans), 2), -1, np.int64),
            np.zeros(256, np.int64),
            np.zeros(16, np.int64),
        )

    def _static_rows(self, static: Static, latency_ns: int) -> Table:
        """Return the known rows that this tap sees, with the time at which it sees them."""
        mask = self.sim.tap_hosts[self.number]
        from_here, to_here = mask[static.ports] == 1, mask[static.peers] == 1
        if self.tap.place == "ingress":
            seen, egress = from_here, np.zeros(len(from_here), bool)
        elif self.tap.place == "egress":
            seen, egress = to_here, np.ones(len(to_here), bool)
        else:
            seen, egress = from_here | to_here, ~from_here
        rows = static.rows[seen].copy()
        travels = rows["kind"] != t.BLOB
        delay_ns = np.where(egress[seen], 3 * (latency_ns >> 2), latency_ns >> 2)
        rows["time_ns"] += np.where(travels, delay_ns, 0)
        return _by_time(rows)

    def clock(self, times_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return what the tap's clock shows, since the epoch, at times of the simulation."""
        drift_ns = np.rint(times_ns * (self.tap.drift_ppm * 1e-6)).astype(np.int64)
        shown: NDArray[np.int64] = times_ns + drift_ns + self.start_ns
        return shown + np.int64(round(self.tap.offset_us * 1000))

    def feed(self, rows: Table, until_ns: int, writer: PcapWriter) -> None:
        """Record this tap's rows before `until_ns`, none of which may come later.

        The recorder may change the rows that it is given.
        """
        ready = int(np.searchsorted(self._static["time_ns"], until_ns))
        if ready:
            rows = _by_time(np.concatenate((self._static[:ready], rows)))
            self._static = self._static[ready:]
        rows = self._mirror(rows)
        if len(self._copies):
            rows = _by_time(np.concatenate((rows, self._copies)))
            ready = int(np.searchsorted(rows["time_ns"], until_ns))
            self._copies = rows[ready:]
            rows = rows[:ready]
        if len(rows):
            self._record(rows.view(np.recarray), writer)

    def _mirror(self, rows: Table) -> Table:
        """Return the rows that the mirror passes on, numbered; keep its copies for later."""
        recording = self.recording
        rows["mirror_sequence"] = recording.mirrored + np.arange(len(rows))
        recording.mirrored += len(rows)
        lost = np.zeros(len(rows), bool)
        for position, fault in self.faults.items():
            if fault.frames:
                hit = np.isin(rows["mirror_sequence"] + 1, fault.frames)
            else:
                hit = self._rng.random(len(rows)) < fault.ratio
            hit &= ~lost
            self.fault_hits[position] += int(hit.sum())
            if fault.kind == "mirror_loss":
                lost |= hit
                continue
            copies = rows[hit]
            copies["copied"] = 1
            spread = 0.25 + 0.75 * self._rng.random(len(copies))
            copies["time_ns"] += np.maximum(1, fault.delay_us * 1000 * spread).astype(np.int64)
            self._copies = np.concatenate((self._copies, copies))
        if lost.any():
            self._note_lost(rows[lost])
            rows = rows[~lost]
        return rows

    def _note_lost(self, rows: Table) -> None:
        recording = self.recording
        recording.mirror_lost += len(rows)
        rdma = rows[rows["kind"] < t.BLOB]
        np.add.at(recording.counts["mirror_lost"], rdma["flow"], 1)
        room = LIST_LIMIT - len(recording.lost_packets)
        times = self.clock(rdma["time_ns"][:room])
        for row, time_ns in zip(rdma[:room], times, strict=True):
            names = ("flow", "opcode", "psn", "payload_bytes")
            entry = {name: int(row[name]) for name in names}
            recording.lost_packets.append({"time_ns": int(time_ns), **entry})

    def _record(self, rows: Table, writer: PcapWriter) -> None:
        """Count and write rows that are in the order of the file."""
        recording = self.recording
        again = np.zeros(len(rows), np.uint8)
        count_rows(
            rows, self.sim.flows, self.sim.tasks, recording.counts, recording.seen,
            recording.spans, recording.opcodes, again,
        )  # fmt: skip
        recording.kinds += np.bincount(rows["kind"], minlength=16)
        first_frame = recording.packets + 1
        self._list_frames(rows, again, first_frame)
        self._list_events(rows, first_frame)
        times_ns = self.clock(rows["time_ns"])
        writer.write(rows, times_ns)
        recording.packets += len(rows)
        if recording.first_ns < 0:
            recording.first_ns = int(times_ns[0])
        recording.last_ns = int(times_ns[-1])

    def _list_frames(self, rows: Table, again: NDArray[np.uint8], first_frame: int) -> None:
        kind, copied = rows["kind"], rows["copied"] == 1
        data = (kind == t.DATA) | (kind == t.RESPONSE)
        masks: dict[str, NDArray[Any]] = {
            "nak": (kind == t.NAK) & ~copied,
            "rnr_nak": (kind == t.RNR) & ~copied,
            "cnp": (kind == t.CNP) & ~copied,
            "ce": data & (rows["ecn"] == 3) & ~copied,
            "retransmission": again == 1,
            "duplicate": copied,
            "pfc": (kind == t.BLOB) & (rows["opcode"] == t.BLOB_PFC),
            "pause": (kind == t.BLOB) & (rows["opcode"] == t.BLOB_PAUSE),
            "cm": (kind == t.DATA) & (rows["index"] < 0),
        }
        for name, mask in masks.items():
            known = self.recording.frames[name]
            if len(known) < LIST_LIMIT:
                found = np.flatnonzero(mask)[: LIST_LIMIT - len(known)] + first_frame
                known += found.tolist()

    def _list_events(self, rows: Table, first_frame: int) -> None:
        """Note the frames of packets that a fault hit, of the answers and of the resent ones."""
        noted = np.flatnonzero(
            ((rows["event"] > 0) | (rows["answers"] > 0)) & (rows["copied"] == 0)
        )
        for position in noted.tolist():
            row = rows[position]
            frame = first_frame + position
            if row["event"] > 0:
                entry = self.recording.event_frames.setdefault(int(row["event"]), {})
                entry.setdefault("frame", frame)
            if row["answers"] > 0:
                entry = self.recording.event_frames.setdefault(int(row["answers"]), {})
                resent = row["kind"] == t.DATA
                entry.setdefault("resent_frame" if resent else "answer_frame", frame)


def _by_time(rows: Table) -> Table:
    ordered: Table = rows[np.argsort(rows["time_ns"], kind="stable")]
    return ordered
