"""The slow twin of the collectives kernel: transfers cut from plain packet dictionaries.

Written from the definitions: a message is what lies between two ends of messages on one queue
pair; a TCP transfer is a train of segments until a short pushed one, a pause or a control segment.
"""

from typing import Any

LAST = {2, 3, 4, 5, 8, 9, 10, 11, 22, 23}
FIRST = {0, 4, 5, 6, 10, 11, 23}
WITH_SIZE = {6, 10, 11}
IMMEDIATE = {3, 5, 9, 11}
DATA, MARKED, CONTROL, ACKS = 0, 1, 2, 3
CREDIT, SMALL, TCP_PAUSE, ACK_PAUSE = 64, 256, 2_000_000, 20_000
REMEMBERED = 64

Packet = dict[str, int]
Transfer = list[int]


class Messages:
    """One direction of a queue pair."""

    def __init__(self, number: int, out: list[Transfer]) -> None:
        """Start with nothing seen."""
        self.number, self.out = number, out
        self.expected_psn: int | None = None
        self.open: dict[str, Any] | None = None
        self.full = 0
        self.before = 0
        self.last: Transfer | None = None
        self.history: list[tuple[int, Transfer]] = []  # the last PSN of each, in order
        self.began = self.ended = 0
        self.train: list[int] | None = None

    def close(self, marked: bool, last_psn: int | None = None) -> None:
        """End the message under way, whose last packet is the one before the expected one."""
        if last_psn is None:
            last_psn = ((self.expected_psn or 0) - 1) % (1 << 24)
        message, self.open = self.open, None
        if message is None:
            return
        size = message["bytes"] if message["size"] is None else message["size"]
        if size == 0 and marked and self.last and self.last[5] == DATA:
            self.last[1] = max(self.last[1], message["end"])
            self.last[5] = MARKED
            self.history[-1] = last_psn, self.last
        if size:
            self.before = size
            kind = MARKED if marked else CONTROL if size <= CREDIT else DATA
            transfer = [message["start"], message["end"], size, self.number, message["seen"], kind]
            self.last = transfer
            self.history.append((last_psn, transfer))
            self.out.append(transfer)

    def repeat(self, psn: int, now: int) -> None:
        """Prolong the message that a repeated packet belongs to."""
        belongs = None
        for last_psn, transfer in self.history[: -REMEMBERED - 2 : -1]:
            if 0 < (psn - last_psn) % (1 << 24) < 1 << 23:
                break
            belongs = transfer
        if belongs:
            belongs[1] = now
        elif self.open:
            self.open["end"] = now
        elif self.history:
            self.history[-1][1][1] = now

    def begin(self, now: int) -> dict[str, Any]:
        """Begin a message."""
        self.open = {"start": now, "end": now, "bytes": 0, "seen": 0, "size": None}
        self.began = now
        return self.open

    def close_acks(self) -> None:
        """End the train of acknowledgements."""
        if self.train:
            self.out.append([self.train[0], self.train[1], 0, self.number, 0, ACKS])
        self.train = None

    def acknowledge(self, now: int) -> None:
        """Take an acknowledgement."""
        if self.train and now - self.train[1] <= ACK_PAUSE:
            self.train[1] = now
            return
        self.close_acks()
        self.train = [now, now]

    def packet(self, packet: Packet) -> None:
        """Take a SEND or WRITE packet."""
        now, operation, payload = packet["time"], packet["opcode"] & 31, packet["payload"]
        missed = 0
        if self.expected_psn is not None:
            missed = (packet["psn"] - self.expected_psn) % (1 << 24)
            if missed >= 1 << 23:
                self.repeat(packet["psn"], now)
                return
            if missed > 1 << 16:
                self.close(False)
                missed = 0
        self.full = max(self.full, payload)
        if operation in FIRST:
            start = self.open["start"] if self.open else self.began
            end = self.open["end"] if self.open else self.ended
            missed = self._finish_lost(missed, packet["psn"])
            message = self.begin(now)
            if missed:
                size = self.before if 0 < self.before < self.full else self.full
                if size > CREDIT:
                    middle = max((start + now) // 2, end + 1)
                    self.last = [middle, end, missed * size, self.number, 0, MARKED]
                    self.history.append(((packet["psn"] - 1) % (1 << 24), self.last))
                    self.out.append(self.last)
            if operation in WITH_SIZE and packet["dma"]:
                message["size"] = packet["dma"]
        elif self.open is None:
            message = self.begin(now)
            message["bytes"] = missed * self.full
        else:
            message = self.open
            whole = message["bytes"] + missed * self.full
            if message["size"] is not None and whole + payload > message["size"]:
                rest = max(whole - message["size"], 0) // max(self.full, 1)
                self.close(True, (packet["psn"] - rest - 1) % (1 << 24))
                message = self.begin(now)
                message["bytes"] = rest * self.full
            else:
                message["bytes"] = whole
        message["bytes"] += payload
        message["end"] = self.ended = now
        message["seen"] += 1
        self.expected_psn = (packet["psn"] + 1) % (1 << 24)
        if operation in LAST:
            self.close(operation in IMMEDIATE)

    def _finish_lost(self, missed: int, psn: int) -> int:
        """Close a message whose Last was missed; return how many packets are still unexplained."""
        if self.open is None:
            return missed
        rest = 0
        if self.open["size"] is None:
            self.open["bytes"] += missed * self.full
        else:
            rest = max(self.open["bytes"] + missed * self.full - self.open["size"], 0)
        missed = rest // max(self.full, 1)
        self.close(True, (psn - missed - 1) % (1 << 24))
        return missed


class Segments:
    """One direction of a TCP connection."""

    def __init__(self, number: int, out: list[Transfer]) -> None:
        """Start with nothing seen."""
        self.number, self.out = number, out
        self.next: int | None = None
        self.open: Transfer | None = None
        self.full = 0
        self.was_full = False

    def close(self) -> None:
        """End the transfer under way."""
        if self.open:
            self.out.append(self.open)
        self.open = None

    def packet(self, packet: Packet) -> None:
        """Take a segment with payload."""
        now, payload = packet["time"], packet["payload"]
        missed = 0
        if self.next is not None and not packet["tcp_flags"] & 2:
            missed = (packet["seq"] - self.next + (1 << 31)) % (1 << 32) - (1 << 31)
            if abs(missed) > 1 << 24:
                missed = 0
        if missed + payload <= 0:
            if self.open:
                self.open[1] = now
            return
        self.next = (packet["seq"] + payload) % (1 << 32)
        new = payload + missed
        full = payload >= self.full and payload > SMALL
        if full:
            self.full = payload
        if new <= SMALL and not self.was_full:
            self.close()
            self.out.append([now, now, new, self.number, 1, CONTROL])
            return
        if self.open and now - self.open[1] > TCP_PAUSE:
            self.close()
        if self.open is None:
            self.open = [now, now, 0, self.number, 0, DATA]
        self.open[1] = now
        self.open[2] += new
        self.open[4] += 1
        self.was_full = full
        if not full and packet["tcp_flags"] & 8:
            self.close()


def cut_transfers(packets: list[Packet]) -> list[Transfer]:
    """Return [start, end, bytes, channel, packets, kind] of each transfer, in order of writing."""
    out: list[Transfer] = []
    channels: dict[tuple[str, int, int], Messages | Segments] = {}
    for packet in packets:
        if packet["duplicate"]:
            continue
        operation = packet["opcode"] & 31
        if packet["queue_pair"] >= 0:
            known = operation <= 11 or operation in (17, 22, 23)
            if packet["opcode"] == 0x81 or not known:
                continue
            key = ("rdma", packet["queue_pair"], 0)
            if key not in channels:
                channels[key] = Messages(len(channels), out)
            channel = channels[key]
            assert isinstance(channel, Messages)
            if operation == 17:
                channel.acknowledge(packet["time"])
            else:
                channel.packet(packet)
        elif packet["tcp"] and packet["flow"] >= 0 and packet["payload"]:
            key = ("tcp", packet["flow"], packet["side"])
            if key not in channels:
                channels[key] = Segments(len(channels), out)
            segments = channels[key]
            assert isinstance(segments, Segments)
            segments.packet(packet)
    for channel in channels.values():
        if isinstance(channel, Messages):
            channel.close(False)
            channel.close_acks()
        else:
            channel.close()
    return out


def join_slowly(transfers: list[dict[str, int]], pause_ns: int) -> list[dict[str, int]]:
    """Join what follows within `pause_ns` on a channel; return rows sorted by all their values.

    transfers: by the names of the transfer layout, in order of their ends.
    """
    last: dict[tuple[int, int], dict[str, int]] = {}
    joined: list[dict[str, int]] = []
    for transfer in transfers:
        key = transfer["channel"], transfer["kind"]
        open_run = last.get(key)
        if open_run and transfer["start_ns"] - open_run["end_ns"] <= pause_ns:
            open_run["end_ns"] = transfer["end_ns"]
            open_run["bytes"] += transfer["bytes"]
            open_run["packets"] += transfer["packets"]
            for name in ("passed_ns", "psn", "before"):
                open_run[name] = transfer[name]
        else:
            last[key] = dict(transfer)
            joined.append(last[key])
    return sorted(joined, key=lambda row: tuple(row.values()))
