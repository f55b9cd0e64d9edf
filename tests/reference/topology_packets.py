"""A slow, obvious packet simulator: objects, one queue of events, two events a hop, real timers.

It knows what `topology/packet_level` knows but for recovery inside of switches and spraying, and
was written from its documentation: each port serves one packet at a time, buffers are given back
when the last bit has left, and every timer is an event.
"""

import heapq
import itertools

import numpy as np

from fabricscope.topology.routing import kernels as routing
from fabricscope.topology.routing.balancing import assign_hashes, pair_ends
from fabricscope.topology.routing.routes import RouteState
from reference.topology_packet_ends import Packet, Pair, Port, mix


class Simulator:
    def __init__(self, fabric, routes, balancing, work, failures, changes, nic, switch, seed):
        self.fabric, self.routes, self.work = fabric, routes, work
        self.nic, self.switch = nic, switch
        self.state = RouteState.initial(routes)
        self.seeds = balancing.seeds(fabric)
        self.seed = int(np.random.default_rng(seed).integers(0, 2**64, dtype=np.uint64))
        self.endpoint = [device.kind in ("host", "gpu") for device in fabric.devices]
        self.ports = [Port(self, n) for n in range(len(fabric.channels.source))]
        self.buffered = [0] * len(fabric.devices)
        self.events, self.order, self.now = [], itertools.count(), 0
        self.counts = dict.fromkeys(("sent", "delivered", "refused", "lost", "marked", "pauses"), 0)
        hashes = assign_hashes(fabric, routes, balancing, *pair_ends(work))
        ends = zip(*pair_ends(work), hashes, strict=True)
        self.pairs = [Pair(self, n, int(s), int(d), h) for n, (s, d, h) in enumerate(ends)]
        self.finished, self.acknowledged = {}, {}
        # A time-out that falls on a NIC's turn to send: who is first is nobody's promise.
        self.tied, self.waiting = False, {}
        self.waits = work.waits.tolist()
        self.ready = set()
        for number in range(len(work.source)):
            pair = self.pairs[work.queue_pair[number]]
            packets = max(1, -(-int(work.size_bytes[number]) // nic.mtu_bytes))
            start = pair.transfers[-1][2] if pair.transfers else 0
            pair.transfers.append((number, start, start + packets))
            if self.waits[number] == 0:
                self.plan_start(number)
        for failure in failures:
            for event in failure.events:
                self.at(round(event.time_ns * 1000), lambda e=event: self.change_port(e))
        for change in changes:
            self.at(round(change.time_ns * 1000), lambda c=change: self.change_route(c))

    def at(self, time, action):
        heapq.heappush(self.events, (time, next(self.order), action))

    def run(self):
        while self.events:
            self.now, _, action = heapq.heappop(self.events)
            action()

    def draw(self, time, channel):
        value = mix(self.seed + time * 0x9E3779B97F4A7C15)
        return (mix(value + channel) >> 11) / 9007199254740992.0

    def plan_start(self, number):
        delay = round(float(self.work.delay_ns[number]) * 1000)
        self.at(self.now + delay, lambda: self.start(number))

    def start(self, number):
        self.ready.add(number)
        pair = self.pairs[self.work.queue_pair[number]]
        while pair.posting < len(pair.transfers):
            if pair.transfers[pair.posting][0] not in self.ready:
                break
            pair.posted = pair.transfers[pair.posting][2]
            pair.posting += 1
        self.activate(pair)

    def change_port(self, event):
        port = self.ports[event.channel]
        port.loss = event.loss
        if event.rate_factor == 0 and not port.dead:
            port.dead = True
            port.outages.append([self.now, 1 << 62])
        elif event.rate_factor > 0:
            if port.dead:
                port.dead = False
                port.outages[-1][1] = self.now
            port.ps_per_byte = 8000.0 / port.rate / event.rate_factor

    def change_route(self, change):
        self.state.withdrawn[change.channel] = not change.use

    def route(self, device, pair, forward):
        destination = pair.destination if forward else pair.source
        flow_hash = pair.hash if forward else mix(pair.hash ^ 0xA0761D6478BD642F)
        channel = routing.choose_channel(
            self.routes, self.state, self.seeds, device, destination, np.uint64(flow_hash)
        )
        return int(channel)

    def can_send(self, pair):
        window = max(1, self.nic.window_bytes // self.nic.mtu_bytes)
        return pair.next < pair.posted and pair.next - pair.oldest < window

    def activate(self, pair):
        if pair.state != "idle" or not self.can_send(pair):
            return
        if pair.may_send > self.now:
            pair.state = "paced"
            self.at(pair.may_send, lambda: self.unpace(pair))
            return
        pair.state = "ready"
        port = self.ports[self.route(pair.source, pair, True)]
        port.ready.append(pair)
        port.serve()

    def unpace(self, pair):
        if pair.state == "paced":
            pair.state = "idle"
            self.activate(pair)

    def next_data(self, port):
        while port.ready:
            pair = port.ready.popleft()
            if pair.state != "ready":
                continue
            pair.state = "idle"
            if self.can_send(pair):
                return self.make_data(port, pair)
        return None

    def make_data(self, port, pair):
        nic, psn = self.nic, pair.next
        self.tied = self.tied or self.waiting.get(pair.source) == self.now
        number, start, end = next(t for t in pair.transfers if t[1] <= psn < t[2])
        payload = nic.mtu_bytes
        if psn == end - 1:
            payload = int(self.work.size_bytes[number]) - (end - start - 1) * nic.mtu_bytes
        size = payload + nic.header_bytes + (nic.first_header_bytes if psn == start else 0)
        packet = Packet("data", pair, psn, size, psn == end - 1)
        pair.counts["again"] += psn < pair.highest
        pair.highest = max(pair.highest, psn + 1)
        pair.next = psn + 1
        self.counts["sent"] += 1
        if not pair.timer_runs or pair.next - pair.oldest == 1:
            self.set_timer(pair)
        if pair.throttled:
            pair.bytes_since += size
            if pair.bytes_since >= nic.dcqcn.raise_bytes:
                pair.bytes_since = 0
                pair.by_bytes += 1
                self.raise_rate(pair)
            pair.may_send = self.now + int(size / pair.rate + 0.5)
        if self.can_send(pair):
            if pair.may_send > self.now + int(size * port.ps_per_byte + 0.5):
                pair.state = "paced"
                self.at(pair.may_send, lambda: self.unpace(pair))
            else:
                pair.state = "ready"
                port.ready.append(pair)
        return packet

    def set_timer(self, pair):
        timeout = round(self.nic.timeout_ns * 1000)
        for _ in range(pair.retries if self.nic.backoff != 1 else 0):
            timeout = int(timeout * self.nic.backoff)
        self.move_timer(pair, self.now + timeout)

    def move_timer(self, pair, deadline):
        pair.timer += 1
        pair.timer_runs, pair.deadline = True, deadline
        self.at(deadline, lambda mine=pair.timer: self.time_out(pair, mine))

    def time_out(self, pair, timer):
        if timer != pair.timer:
            return
        pair.timer_runs = False
        if pair.oldest == pair.highest:
            return
        pair.counts["timeouts"] += 1
        if pair.retries >= self.nic.retry_count:
            pair.state = "failed"
            return
        pair.retries += 1
        pair.next = pair.oldest
        self.set_timer(pair)
        for port in self.ports:
            if port.source == pair.source and port.serving and port.serving.began == self.now:
                self.tied = True
        self.activate(pair)
        if pair.state == "ready":
            self.waiting[pair.source] = self.now

    def lose(self, packet):
        self.counts["lost"] += packet.kind == "data"
        if packet.pair is not None:
            packet.pair.counts["lost"] += 1

    def arrived(self, port, packet):
        device = port.target
        if packet.kind == "pause":
            out = self.ports[port.number ^ 1]
            out.paused = packet.psn == 1
            out.serve()
        elif self.endpoint[device]:
            self.receive(device, packet)
        else:
            channel = self.route(device, packet.pair, packet.kind == "data")
            if channel < 0:
                self.lose(packet)
            elif packet.kind == "cnp":
                self.ports[channel].first.append(packet)
                self.ports[channel].serve()
            else:
                self.enqueue(self.ports[channel], packet, port)

    def enqueue(self, port, packet, inbound):
        switch, device = self.switch, port.source
        if not self.endpoint[device]:
            free = switch.buffer_bytes - self.buffered[device]
            full = packet.size > free
            if not switch.lossless and port.queued + packet.size > switch.drop_alpha * free:
                full = True
            if full:
                self.lose(packet)
                return
            self.mark(port, packet)
            self.buffered[device] += packet.size
            packet.inbound = inbound.number
            inbound.ingress += packet.size
        port.queued += packet.size
        port.queue.append(packet)
        port.serve()
        if not self.endpoint[device] and switch.lossless and not inbound.asked:
            threshold = switch.pause_alpha * max(self.shared(device) - self.buffered[device], 0)
            if inbound.ingress > threshold:
                self.ask(inbound, True)

    def mark(self, port, packet):
        switch = self.switch
        low = round(port.rate * switch.mark_from_bytes_per_gbps)
        high = round(port.rate * switch.mark_all_bytes_per_gbps)
        if not switch.ecn or packet.kind != "data" or port.queued <= low:
            return
        share = switch.mark_most * (port.queued - low) / (high - low)
        if port.queued >= high or self.draw(self.now, port.number) < share:
            packet.marked = True
            self.counts["marked"] += 1

    def shared(self, device):
        degree = sum(port.source == device for port in self.ports)
        total = self.switch.buffer_bytes
        return total - min(degree * self.switch.headroom_bytes, total // 2)

    def ask(self, inbound, stop):
        inbound.asked = stop
        self.counts["pauses"] += stop
        back = self.ports[inbound.number ^ 1]
        back.first.append(Packet("pause", None, int(stop), self.switch.pause_bytes))
        back.serve()

    def let_go(self, device):
        free = max(self.shared(device) - self.buffered[device], 0)
        limit = max(self.switch.pause_alpha * free - self.switch.resume_offset_bytes, 0.0)
        for port in self.ports:
            if port.target == device and port.asked and port.ingress <= limit:
                self.ask(port, False)

    def receive(self, device, packet):
        pair = packet.pair
        if packet.kind == "data":
            self.receive_data(device, pair, packet)
        elif packet.kind == "cnp":
            pair.counts["cnps"] += 1
            self.cut_rate(pair)
        else:
            news = packet.psn > pair.oldest
            if news:
                pair.oldest, pair.retries = packet.psn, 0
                pair.next = max(pair.next, packet.psn)
                if pair.timer_runs:
                    self.move_timer(pair, self.now + round(self.nic.timeout_ns * 1000))
                for number, _, end in pair.transfers:
                    if end <= pair.oldest:
                        self.acknowledged.setdefault(number, self.now)
            if packet.kind == "nak" and packet.psn == pair.oldest:
                pair.next, news = pair.oldest, True
            if news:
                self.activate(pair)

    def receive_data(self, device, pair, packet):
        control = self.nic.dcqcn
        if packet.marked and control and self.now - pair.last_cnp >= control.cnp_interval_ns * 1000:
            pair.last_cnp = self.now
            back = self.ports[self.route(device, pair, False)]
            back.first.append(Packet("cnp", pair, 0, self.nic.cnp_bytes))
            back.serve()
        answer = None
        if packet.psn == pair.expected:
            pair.expected, pair.refused = pair.expected + 1, False
            pair.unacknowledged += 1
            self.counts["delivered"] += 1
            if packet.last:
                self.finish(pair)
            if packet.last or pair.unacknowledged >= self.nic.ack_every:
                answer = "ack"
        else:
            self.counts["refused"] += 1
            if packet.psn < pair.expected:
                answer = "ack"
            elif not pair.refused:
                pair.refused, answer = True, "nak"
                pair.counts["naks"] += 1
        if answer:
            pair.unacknowledged = 0
            port = self.ports[self.route(device, pair, False)]
            self.enqueue(port, Packet(answer, pair, pair.expected, self.nic.ack_bytes), None)

    def finish(self, pair):
        number = next(n for n, _, end in pair.transfers if end == pair.expected)
        self.finished[number] = self.now
        work = self.work
        for place in range(work.successor_start[number], work.successor_start[number + 1]):
            follower = int(work.successors[place])
            self.waits[follower] -= 1
            if self.waits[follower] == 0:
                self.plan_start(follower)

    def cut_rate(self, pair):
        control = self.nic.dcqcn
        if control is None:
            return
        if pair.counts["cnps"] == 1:
            pair.alpha = 1.0
        if not (control.keeps_target and pair.throttled) or pair.by_time + pair.by_bytes:
            pair.target = pair.rate
        pair.throttled = True
        rate = max(pair.rate * (1.0 - 0.5 * pair.alpha), control.least_gbps / 8000.0)
        self.change_rate(pair, rate)
        pair.alpha = (1.0 - control.gain) * pair.alpha + control.gain
        pair.by_time = pair.by_bytes = pair.bytes_since = 0
        pair.cuts += 1
        mine = pair.cuts
        self.at(self.now + round(control.alpha_period_ns * 1000), lambda: self.decay(pair, mine))
        self.at(self.now + round(control.raise_period_ns * 1000), lambda: self.tick(pair, mine))

    def decay(self, pair, cut):
        if cut == pair.cuts and pair.alpha >= 1e-9:
            pair.alpha *= 1.0 - self.nic.dcqcn.gain
            later = self.now + round(self.nic.dcqcn.alpha_period_ns * 1000)
            self.at(later, lambda: self.decay(pair, cut))

    def tick(self, pair, cut):
        if cut == pair.cuts and pair.throttled:
            pair.by_time += 1
            self.raise_rate(pair)
            later = self.now + round(self.nic.dcqcn.raise_period_ns * 1000)
            self.at(later, lambda: self.tick(pair, cut))

    def raise_rate(self, pair):
        control = self.nic.dcqcn
        if min(pair.by_time, pair.by_bytes) > control.fast_stages:
            pair.target += control.hyper_gbps / 8000.0
        elif max(pair.by_time, pair.by_bytes) > control.fast_stages:
            pair.target += control.additive_gbps / 8000.0
        pair.target = min(pair.target, pair.line)
        rate = 0.5 * (pair.rate + pair.target)
        if rate > 0.999 * pair.line:
            rate, pair.throttled = pair.line, False
        self.change_rate(pair, rate)

    def change_rate(self, pair, rate):
        """Keep the bytes for which the pair still waits, and let them go at the new rate."""
        if pair.may_send > self.now:
            pair.may_send = self.now + int((pair.may_send - self.now) * (pair.rate / rate) + 0.5)
            if pair.state == "paced":
                self.at(pair.may_send, lambda: self.unpace(pair))
        pair.rate = rate
