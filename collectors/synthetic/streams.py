"""Plain message streams between hosts: bulk transfers and the benchmark's load."""

from fabricscope.collectors.synthetic import tables as t
from fabricscope.collectors.synthetic.plan import Plan, Task
from fabricscope.collectors.synthetic.recipe import Bulk, Load

OPERATIONS = {
    "send": t.OP_SEND,
    "write": t.OP_WRITE,
    "read": t.OP_READ,
    "fetch_add": t.OP_FETCH_ADD,
    "cmp_swap": t.OP_CMP_SWAP,
}
TRANSPORTS = {"rc": t.RC, "uc": t.UC, "ud": t.UD}
LOAD_OUTSTANDING = 4


def add_bulk(plan: Plan, spec: Bulk) -> None:
    """Add the messages of a `bulk` workload."""
    for source, destination in spec.pairs:
        for pair in range(spec.queue_pairs):
            flow = plan.connect(source, destination, -1, pair, TRANSPORTS[spec.transport])
            add_messages(plan, flow, spec)


def add_messages(plan: Plan, flow: int, spec: Bulk) -> None:
    """Add one queue pair's messages, at most `outstanding` of them under way."""
    sent: list[int] = []
    interval_ns = int(spec.interval_us * 1000)
    size_bytes = 8 if spec.operation in ("fetch_add", "cmp_swap") else spec.message_bytes
    for number in range(spec.messages):
        # Without credits a new message starts when an old one has arrived.
        after = [sent[number - spec.outstanding]] if number >= spec.outstanding else []
        delay_ns = interval_ns
        if not after:
            delay_ns = int(spec.start_us * 1000) + number * interval_ns
        task = Task(
            flow,
            size_bytes,
            OPERATIONS[spec.operation],
            immediate=spec.immediate,
            delay_ns=delay_ns,
            after=after,
        )
        sent.append(plan.add(task))


def add_load(plan: Plan, spec: Load, hosts: int, ack_every: int) -> None:
    """Add about `packets` packets of WRITEs with their ACKs on `queue_pairs` queue pairs."""
    per_message = plan.packets_of(spec.message_bytes)
    acks = 1 if ack_every == 0 else -(-per_message // ack_every)
    messages = max(1, round(spec.packets / (per_message + acks)))
    pairs = min(spec.queue_pairs, messages)
    for pair in range(pairs):
        source = pair % hosts
        distance = 1 + (pair // hosts) % (hosts - 1)
        flow = plan.connect(source, (source + distance) % hosts, -1, pair)
        sent: list[int] = []
        for number in range(messages // pairs + (pair < messages % pairs)):
            after = [sent[number - LOAD_OUTSTANDING]] if number >= LOAD_OUTSTANDING else []
            # A few nanoseconds apart, so that not all queue pairs start at the same moment.
            sent.append(plan.add(Task(flow, spec.message_bytes, delay_ns=pair * 97, after=after)))
