"""Packets, ports and queue pairs of the slow packet simulator in topology_packets.py."""

from collections import deque

MASK = (1 << 64) - 1


def mix(value):
    value &= MASK
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & MASK
    return value ^ (value >> 31)


class Packet:
    def __init__(self, kind, pair, psn, size, last=False):
        self.kind, self.pair, self.psn, self.size, self.last = kind, pair, psn, size, last
        self.marked, self.inbound, self.began = False, None, 0


class Port:
    """One channel: a queue for priority packets, one for the rest, and what is being sent."""

    def __init__(self, sim, number):
        fabric = sim.fabric
        channels = fabric.channels
        self.number, self.sim = number, sim
        self.source, self.target = int(channels.source[number]), int(channels.target[number])
        self.rate = float(channels.rate[number])
        self.ps_per_byte = 8000.0 / self.rate
        self.delay = round(float(channels.delay_ns[number]) * 1000)
        self.first, self.queue, self.serving = deque(), deque(), None
        self.queued = self.ingress = 0
        self.paused = self.asked = False
        self.dead, self.loss = False, 0.0
        self.outages = []
        self.ready = deque()

    def serve(self):
        if self.serving is not None:
            return
        sim = self.sim
        if self.first:
            packet = self.first.popleft()
        elif self.paused:
            return
        elif self.queue:
            packet = self.queue.popleft()
        else:
            packet = sim.next_data(self)
            if packet is None:
                return
            self.queued += packet.size
        self.serving = packet
        packet.began = sim.now
        took = int(packet.size * self.ps_per_byte + 0.5)
        sim.at(sim.now + took, self.sent)

    def sent(self):
        sim, packet = self.sim, self.serving
        self.serving = None
        if packet.kind in ("data", "ack", "nak"):
            self.queued -= packet.size
            if not sim.endpoint[self.source]:
                sim.ports[packet.inbound].ingress -= packet.size
                sim.buffered[self.source] -= packet.size
                sim.let_go(self.source)
        sim.at(sim.now + self.delay, lambda: self.arrive(packet))
        self.serve()

    def arrive(self, packet):
        sim = self.sim
        for down, up in self.outages:
            if packet.began < up and sim.now >= down:
                sim.lose(packet)
                return
        if self.loss > 0 and sim.draw(sim.now, self.number) < self.loss:
            sim.lose(packet)
            return
        sim.arrived(self, packet)


class Pair:
    def __init__(self, sim, number, source, destination, flow_hash):
        self.number, self.source, self.destination = number, source, destination
        self.hash = int(flow_hash)
        self.transfers, self.posted, self.posting = [], 0, 0
        self.next = self.oldest = self.highest = self.expected = 0
        self.unacknowledged, self.refused = 0, False
        self.state, self.retries, self.timer = "idle", 0, 0
        self.deadline, self.timer_runs = 0, False
        self.may_send, self.last_cnp = 0, -(1 << 62)
        line = max(p.rate for p in sim.ports if p.source == source) / 8000.0
        self.line = self.rate = self.target = line
        self.alpha, self.throttled = 0.0, False
        self.by_time = self.by_bytes = self.bytes_since = self.cuts = 0
        self.counts = dict.fromkeys(("lost", "timeouts", "naks", "again", "cnps"), 0)
