"""Slow and obvious twin of the behaviour kernel: keeps every packet and works it all out anew."""

from dataclasses import dataclass, field
from itertools import pairwise

GAPS_NS = [10**5, 10**6, 10**7, 10**8, 10**9]
BINS = 128


@dataclass
class Flow:
    """All packets with payload of one flow: (time_ns, side, size, is_tcp, sequence)."""

    packets: list[tuple[int, int, int, bool, int]] = field(default_factory=list)

    def clock(self) -> list[int]:
        """Return the latest time so far after each packet: time does not run backwards."""
        times: list[int] = []
        for packet in self.packets:
            times.append(max(packet[0], times[-1]) if times else packet[0])
        return times

    def bursts(self, gap_ns: int) -> list[list[int]]:
        """Return the indexes of the packets of each burst."""
        clock = self.clock()
        bursts: list[list[int]] = []
        for index, packet in enumerate(self.packets):
            if index == 0 or packet[0] - clock[index - 1] >= gap_ns:
                bursts.append([])
            bursts[-1].append(index)
        return bursts

    def level(self, gap_ns: int) -> dict[str, float]:
        """Return what the kernel keeps of one level: ended bursts, and the one under way."""
        clock = self.clock()
        bursts = self.bursts(gap_ns)
        sizes = [sum(self.packets[index][2] for index in burst) for burst in bursts]
        starts = [self.packets[burst[0]][0] for burst in bursts]
        ends = [clock[burst[-1]] for burst in bursts]
        return {
            "bursts": len(bursts) - 1,
            "burst_start_ns": starts[-1],
            "burst_before": sum(sizes[:-1]),
            "burst_square_sum": sum(float(size) ** 2 for size in sizes[:-1]),
            "burst_active_ns": sum(
                end - start for start, end in zip(starts[:-1], ends[:-1], strict=True)
            ),
            "interval_square_sum": sum(
                float(later - start) ** 2 for start, later in pairwise(starts)
            ),
        }

    def answers(self) -> list[tuple[int, int]]:
        """Return, for each side, how often it took over and the silence before, summed."""
        clock = self.clock()
        result = []
        for side in (0, 1):
            silences = [
                max(self.packets[index][0] - clock[index - 1], 0)
                for index in range(1, len(self.packets))
                if self.packets[index][1] == side != self.packets[index - 1][1]
            ]
            result.append((len(silences), sum(silences)))
        return result

    def repeated(self) -> int:
        """Return TCP segments that end at or before the furthest byte of their side."""
        furthest: dict[int, int] = {}
        count = 0
        for _, side, size, tcp, sequence in self.packets:
            if not tcp:
                continue
            end = (sequence + size) % 2**32
            ahead = (end - furthest.get(side, end - 1)) % 2**32
            if 0 < ahead < 2**31:
                furthest[side] = end
            else:
                count += 1
        return count

    def series(self) -> tuple[int, int, list[int]]:
        """Return (shift, number of the first bin, bins); the first 15 packets in one bin."""
        shift, base = 10, self.packets[0][0] >> 10
        latest = max(packet[0] for packet in self.packets[15:])
        while (latest >> shift) - base >= BINS:
            shift, base = shift + 1, base >> 1
        bins = [0] * BINS
        # Packets from before the first bin fall in what is the first bin when they come.
        start, narrow = self.packets[0][0] >> 10 << 10, 10
        for index, (now, _, size, _, _) in enumerate(self.packets):
            if index >= 15:
                while (now >> narrow) - (start >> narrow) >= BINS:
                    narrow += 1
                now = max(now, start >> narrow << narrow)
            else:
                now = start
            bins[max((now >> shift) - base, 0)] += size
        return shift, base, bins


def follow(rows: list[tuple[int, int, int, int, int, int]]) -> dict[int, Flow]:
    """Return the flows of (time_ns, size, ip_protocol, tcp_seq, flow, side) rows by number."""
    flows: dict[int, Flow] = {}
    for now, size, ip_protocol, sequence, flow, side in rows:
        if flow >= 0 and size > 0:
            flows.setdefault(flow, Flow()).packets.append(
                (now, side, size, ip_protocol == 6, sequence)
            )
    return flows
