"""Score the behaviour verdicts (DFI) on captures whose ports and payload were taken away.

    python benchmarks/accuracy/behaviour.py [--folder DIR] [--generated DIR] [--seed N]

Each capture of `collectives/` is rewritten with random ports (one for each end of a connection)
and every payload byte zero, and judged as it then is. The truth comes from the untouched capture:
who serves which path on the storage host, the store's port, and what lies between ranks. Captures
of the project's own generator follow, each with the behaviours that its recipe makes.
"""

import argparse
import struct
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from fabricscope.analyzers.addresses import address_text
from fabricscope.analyzers.behaviour.analyzer import BehaviourAnalyzer
from fabricscope.analyzers.behaviour.judging import BehaviourVerdicts, judge
from fabricscope.analyzers.flows import FlowTable
from fabricscope.collectors.capture.reader import CaptureFile
from fabricscope.collectors.decode import decode
from fabricscope.records import allocate_packets, slice_packets

REPOSITORY: Final = Path(__file__).resolve().parents[2]
DEFAULT_FOLDER: Final = REPOSITORY.parent / "shared" / "captures" / "collectives"
STORAGE_HOST, STORAGE_PORT, STORE_PORT = "10.77.0.14", 8080, 29500
BARRIER_BYTES: Final = 16_384
TCP, UDP = 6, 17

ACCEPTED: Final = {
    "allreduce": {"collective_burst"},
    "dataset": {"dataset_read"},
    "checkpoint": {"checkpoint_write"},
    "scrape": {"periodic_control"},
    "control": {"periodic_control", "request_response"},
    "refused": {"idle", "request_response"},
    "barrier": {"periodic_control", "request_response", "collective_burst"},
}
"""Behaviours that are right for a kind of flow. `control` is the c10d store, `refused` its
connection attempts before it listens, `barrier` the connections over which only barriers ran."""

GENERATED: Final = {
    "ring-allreduce": "collective_burst",
    "tree-allreduce": "collective_burst",
    "halving-doubling": "collective_burst",
    "alltoall": "collective_burst",
    "allgather": "collective_burst",
    "reducescatter": "collective_burst",
    "broadcast": "collective_burst",
    "pipeline": "collective_burst",
    "slow-rank": "collective_burst",
    "slow-link": "collective_burst",
    "congestion": "congestion_victim",
}
"""Behaviour of the RoCE flows with payload in the captures of `pcaps/`."""


class Judged(NamedTuple):
    """Flows of one capture with their verdicts."""

    flows: np.ndarray
    directions: np.ndarray
    verdicts: BehaviourVerdicts


def judge_capture(path: Path) -> Judged:
    """Run decode, flow table and behaviour over one capture."""
    packets = allocate_packets()
    flow = np.zeros(len(packets.time_ns), np.int64)
    side = np.zeros(len(packets.time_ns), np.uint8)
    table = FlowTable(capacity=65_536, sketches=16)
    analyzer = BehaviourAnalyzer(65_536)
    features, flows, directions = [], [], []

    def keep(slots: np.ndarray) -> None:
        collected = table.collect(slots)
        features.append(analyzer.describe(collected))
        flows.append(collected.flows)
        directions.append(collected.directions)

    with CaptureFile(str(path)) as capture:
        while True:
            view, rows = capture.read(packets)
            if rows == 0:
                break
            batch = slice_packets(packets, 0, rows)
            decode(view, batch)
            closed = table.update(batch, flow[:rows], side[:rows])
            analyzer.update(batch, flow[:rows], side[:rows])
            if closed.size:
                keep(closed)
                analyzer.flow_closed(closed)
                table.release(closed)
    keep(table.open_slots())
    verdicts = judge(np.concatenate(features))
    return Judged(np.concatenate(flows), np.concatenate(directions), verdicts)


def frames(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (record header, frame) of a little-endian microsecond or nanosecond pcap file."""
    place = 24
    while place + 16 <= len(data):
        captured = struct.unpack_from("<I", data, place + 8)[0]
        yield data[place : place + 16], data[place + 16 : place + 16 + captured]
        place += 16 + captured


def transport(frame: bytes) -> tuple[int, int, int] | None:
    """Return (protocol, start, payload start) of TCP or UDP straight over Ethernet and IPv4."""
    if len(frame) < 34 or frame[12:14] != b"\x08\x00" or frame[23] not in (TCP, UDP):
        return None
    start = 14 + 4 * (frame[14] & 15)
    if len(frame) < start + (20 if frame[23] == TCP else 8):
        return None
    size = 4 * (frame[start + 12] >> 4) if frame[23] == TCP else 8
    return frame[23], start, start + size


def strip_capture(path: Path, out: Path, seed: int) -> int:
    """Write `path` with random ports and zeroed payload; return the frames that were changed."""
    data = path.read_bytes()
    if data[:4] not in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"):
        raise ValueError(f"{path} is no little-endian pcap file")
    rng = np.random.default_rng(seed)
    free = rng.permutation(np.arange(1_024, 65_536))
    ports: dict[tuple[int, bytes, bytes], int] = {}
    changed = 0
    with out.open("wb") as stream:
        stream.write(data[:24])
        for header, frame in frames(data):
            found = transport(frame)
            stream.write(header)
            if found is None:
                stream.write(frame)
                continue
            protocol, start, payload = found
            src, dst = frame[start : start + 2], frame[start + 2 : start + 4]
            ends = ((frame[26:30], src), (frame[30:34], dst))
            # Drawn anew for each connection: two of one server share nothing.
            new = [
                ports.setdefault((protocol, mine + theirs[0] + theirs[1], port), len(ports))
                for (mine, port), theirs in zip(ends, reversed(ends), strict=True)
            ]
            numbers = struct.pack(">HH", *(int(free[n % len(free)]) for n in new))
            stripped = frame[:start] + numbers + frame[start + 4 : payload]
            stream.write(stripped + bytes(len(frame) - len(stripped)))
            changed += 1
    return changed


def kinds_of(path: Path, judged: Judged) -> list[str | None]:
    """Return what each flow is by hosts, ports and request lines; None: not of the job."""
    requests: dict[tuple[str, int], bytes] = {}
    for _, frame in frames(path.read_bytes()):
        found = transport(frame)
        if found is None or found[0] != TCP:
            continue
        src_port, dst_port = struct.unpack_from(">HH", frame, found[1])
        if dst_port == STORAGE_PORT and len(frame) > found[2]:
            src = ".".join(str(byte) for byte in frame[26:30])
            requests.setdefault((src, src_port), frame[found[2] :])
    kinds: list[str | None] = []
    for flow, sides in zip(judged.flows, judged.directions, strict=True):
        dst = address_text(int(flow["b_hi"]), int(flow["b_lo"]))
        src = address_text(int(flow["a_hi"]), int(flow["a_lo"]))
        payload = int(sides["payload_bytes"].max())
        if flow["ip_protocol"] != TCP:
            kinds.append(None)
        elif dst == STORAGE_HOST and flow["b_port"] == STORAGE_PORT:
            line = requests.get((src, int(flow["a_port"])), b"")
            scrape = b"/metrics" in line
            kinds.append("scrape" if scrape else "dataset" if line[:3] == b"GET" else "checkpoint")
        elif flow["b_port"] == STORE_PORT:
            kinds.append("control" if payload else "refused")
        else:
            kinds.append("allreduce" if payload > BARRIER_BYTES else "barrier")
    return kinds


class Score(NamedTuple):
    """How many flows and bytes got a right class, and what became of each kind."""

    flows: int
    right_flows: int
    bytes: int
    right_bytes: int
    confusion: Counter[tuple[str, str]]


def score_capture(path: Path, folder: Path, seed: int) -> Score:
    """Judge a stripped copy of `path`, written into `folder`, against the truth."""
    truth = judge_capture(path)
    stripped_path = folder / path.name
    strip_capture(path, stripped_path, seed)
    stripped = judge_capture(stripped_path)
    kinds = dict(zip(truth.flows["first_frame"].tolist(), kinds_of(path, truth), strict=True))
    flows = right_flows = total = right = 0
    confusion: Counter[tuple[str, str]] = Counter()
    for row, frame in enumerate(stripped.flows["first_frame"].tolist()):
        kind = kinds.get(frame)
        if kind is None:
            continue
        got = stripped.verdicts.behaviour[row]
        size = int(stripped.directions["bytes"][row].sum())
        good = got in ACCEPTED[kind]
        flows, right_flows = flows + 1, right_flows + good
        total, right = total + size, right + size * good
        confusion[kind, got] += 1
    return Score(flows, right_flows, total, right, confusion)


def score_generated(path: Path, wanted: str) -> Score:
    """Judge a capture of the generator: flows with payload, all of one behaviour."""
    judged = judge_capture(path)
    size = judged.directions["payload_bytes"].sum(axis=1)
    confusion = Counter(
        (wanted, got)
        for got, some in zip(judged.verdicts.behaviour, size.tolist(), strict=True)
        if some
    )
    right = np.array([got == wanted for got in judged.verdicts.behaviour]) & (size > 0)
    return Score(
        int((size > 0).sum()), int(right.sum()), int(size.sum()), int(size[right].sum()), confusion
    )


def show(name: str, score: Score) -> None:
    """Print one capture's line and its confusion matrix."""
    print(
        f"{name:28} flows {score.right_flows}/{score.flows} "
        f"({score.right_flows / max(score.flows, 1):.1%}), "
        f"bytes {score.right_bytes / max(score.bytes, 1):.2%}"
    )
    for (kind, got), count in sorted(score.confusion.items()):
        print(f"    {kind:12} -> {got or '(nothing)':18} {count}")


def main() -> None:
    """Score all captures and print what became of each kind of flow."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--generated", type=Path, default=REPOSITORY / "pcaps")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(options.folder.glob("*.pcap")):
            show(path.stem, score_capture(path, Path(folder), options.seed))
    for name, wanted in GENERATED.items():
        for path in sorted(options.generated.glob(f"{name}.pcap*")):
            show(f"generated {name}", score_generated(path, wanted))


if __name__ == "__main__":
    main()
