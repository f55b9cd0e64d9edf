"""Occurrences: which record is a packet that another tap already saw, and what a tap missed.

Distinct packets lie in a ring in order of first sighting, chained by hash bucket from the newest
to the oldest. The oldest retire to make room; their sightings are then complete, and the books of
their flow direction are written. State is that of `layout.State`, owned by the caller.
"""

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fabricscope.analyzers.taps.layout import (
    EXAMPLES,
    KIND_RELIABLE,
    KIND_TCP,
    KIND_UNSURE,
    LOSS_FLOWS,
    LOSS_TAPS,
    MAX_STEPS,
    MAX_TAPS,
    SHORT_RUN,
    TOTALS,
    State,
)
from fabricscope.records import FLAG_DUPLICATE, Packets

_NEXT: Final = TOTALS.next_entry
_RETIRED: Final = TOTALS.retired
_FORCED_OUT: Final = TOTALS.forced_out
_SHORTEST_MEMORY: Final = TOTALS.shortest_memory_ns
_FLOWS: Final = TOTALS.flows
_UNJUDGED: Final = TOTALS.unjudged
_CUT_SEARCHES: Final = TOTALS.cut_searches
_ONE: Final = np.uint64(1)
_BLOCK_ROWS: Final = 32
_DUPLICATE: Final = np.uint32(FLAG_DUPLICATE)


@njit(cache=True, nogil=True)
def flow_index(
    hashes: NDArray[np.uint64],
    indexes: NDArray[np.int32],
    totals: NDArray[np.int64],
    flow_hash: Any,
) -> Any:
    """Return the index of a flow direction, making one while there is room; -1 without."""
    mask = np.int64(hashes.size - 1)
    slot = np.int64(flow_hash >> np.uint64(32)) & mask
    while hashes[slot] != 0:
        if hashes[slot] == flow_hash:
            return np.int64(indexes[slot])
        slot = (slot + 1) & mask
    index = totals[_FLOWS]
    if index >= LOSS_FLOWS:
        totals[_UNJUDGED] += 1
        return np.int64(-1)
    hashes[slot] = flow_hash
    indexes[slot] = index
    totals[_FLOWS] = index + 1
    return np.int64(index)


@njit(cache=True, nogil=True)
def close_run(state: State, flow: Any, tap: Any, at_an_end: bool) -> None:
    """Judge the packets that `tap` missed in a row: lost here, or the flow was elsewhere.

    Elsewhere means a tap saw them that never shared a packet of this flow with `tap` (a parallel
    path), or the run is long and lies at the start or the end of what `tap` saw of the flow.
    """
    count = state.run[flow, tap]
    parallel = state.run_witnesses[flow, tap] & ~state.shared[flow, tap]
    if parallel != 0 or (at_an_end and count > SHORT_RUN):
        state.absent[flow, tap] += count
        # Only the examples of the losses booked before stay.
        state.example_counts[flow, tap] = min(
            state.example_counts[flow, tap], state.lost[flow, tap]
        )
    else:
        state.lost[flow, tap] += count
        state.lost_resent[flow, tap] += state.run_resent[flow, tap]
    state.run[flow, tap] = 0
    state.run_resent[flow, tap] = 0
    state.run_witnesses[flow, tap] = 0


@njit(cache=True, nogil=True)
def retire(state: State, end: int) -> None:
    """Book the packets before number `end`, whose sightings are complete: seen or missed by tap."""
    entries = state.entries
    capacity = np.int64(entries.size)
    taps = LOSS_TAPS
    while taps > 0 and state.packets[taps - 1] == 0:
        taps -= 1
    for number in range(state.totals[_RETIRED], end):
        entry = entries[number & (capacity - 1)]
        flow = np.int64(entry["flow"])
        if flow < 0:
            continue
        mask = entry["mask"]
        time_ns = entry["time_ns"]
        length = np.int64(entry["payload_length"]) if entry["kind"] & KIND_TCP else np.int64(0)
        for tap in range(taps):
            if mask & (_ONE << np.uint64(tap)):
                state.shared[flow, tap] |= mask
                if state.run[flow, tap] > 0:
                    close_run(state, flow, tap, state.seen[flow, tap] == 0)
                state.seen[flow, tap] += 1
                state.largest[flow, tap] = max(state.largest[flow, tap], length)
            elif (
                state.packets[tap] > 0  # an index between those in use
                and state.first_ns[tap] <= time_ns
                and time_ns <= state.last_ns[tap]
            ):
                state.run[flow, tap] += 1
                state.run_resent[flow, tap] += np.int64(entry["resent"])
                state.run_witnesses[flow, tap] |= mask
                place = state.example_counts[flow, tap]
                if place < EXAMPLES:
                    witness = entry["frame"] * MAX_TAPS + np.int64(entry["tap"])
                    state.examples[flow, tap, place] = witness
                    state.example_counts[flow, tap] = place + 1
    state.totals[_RETIRED] = max(state.totals[_RETIRED], end)


@njit(cache=True, nogil=True)
def make_room(state: State, rows: int, window_ns: int) -> None:
    """Retire the oldest packets until `rows` new ones fit (at most the ring's size).

    One that goes before the window has passed since is counted as forced out.
    """
    entries = state.entries
    capacity = np.int64(entries.size)
    newest = state.totals[_NEXT]
    end = newest + rows - capacity
    if end <= state.totals[_RETIRED]:
        return
    end = min(end, newest)
    now = entries[(newest - 1) & (capacity - 1)]["time_ns"]
    for number in range(state.totals[_RETIRED], end):
        age = now - entries[number & (capacity - 1)]["time_ns"]
        if age <= window_ns:
            state.totals[_FORCED_OUT] += 1
            age = max(np.int64(0), age)
            if state.totals[_SHORTEST_MEMORY] < 0 or age < state.totals[_SHORTEST_MEMORY]:
                state.totals[_SHORTEST_MEMORY] = age
    retire(state, end)


@njit(cache=True, nogil=True)
def finish(state: State) -> None:
    """Book all packets still remembered and close all runs; the state is not to be used again."""
    retire(state, state.totals[_NEXT])
    for flow in range(state.totals[_FLOWS]):
        for tap in range(LOSS_TAPS):
            if state.run[flow, tap] > 0:
                close_run(state, flow, tap, True)


@njit(cache=True, nogil=True)
def find(
    entries: NDArray[np.void],
    totals: NDArray[np.int64],
    link: Any,
    key: Any,
    variant: Any,
    bit: Any,
    time_ns: Any,
    reliable: bool,
    window_ns: Any,
    proximity_ns: Any,
) -> Any:
    """Return (slot of the entry that this record is another sighting of, slot sent before).

    `link` is the head of the key's bucket. Only entries made after the last one that this tap
    saw can be it, so the k-th sighting at one tap pairs with the k-th at another. Among several,
    a packet with a sequence number is the one nearest in time (a sender repeats it only after it
    left the path); others pair in order within `proximity_ns`, and with the newest beyond, which
    heals the order after a miss. The second slot is the newest entry of the same key. Each is -1
    when there is none.
    """
    capacity = np.int64(entries.size)
    oldest = totals[_RETIRED]
    best = np.int64(-1)
    best_distance = np.int64(0)
    newest = np.int64(-1)
    steps = 0
    while link > oldest:
        if steps == MAX_STEPS:
            totals[_CUT_SEARCHES] += 1
            break
        steps += 1
        slot = (link - 1) & (capacity - 1)
        entry = entries[slot]
        link = entry["before"]
        if entry["key"] != key:
            continue
        distance = abs(time_ns - entry["time_ns"])
        if distance > window_ns:
            break
        if newest < 0:
            newest = slot
        if entry["variant"] != variant:
            continue
        if entry["mask"] & bit:
            break
        nearer = distance < best_distance if reliable else distance <= proximity_ns
        if best < 0 or nearer:
            best = slot
            best_distance = distance
    return best, newest


@njit(cache=True, nogil=True)
def touch(
    entries: NDArray[np.void],
    heads: NDArray[np.int64],
    keys: NDArray[np.uint64],
    start: Any,
    stop: Any,
) -> Any:
    """Load the buckets and newest entries of some rows, so that their cache misses overlap.

    Returns a meaningless number, without which the compiler would leave the loads out.
    """
    loaded = np.int64(0)
    for row in range(start, stop):
        link = heads[np.int64(keys[row] & np.uint64(heads.size - 1))]
        loaded ^= entries[(link - 1) & np.int64(entries.size - 1)]["before"]
    return loaded


@njit(cache=True, nogil=True)
def mark(
    packets: Packets,
    keys: NDArray[np.uint64],
    variants: NDArray[np.uint32],
    kinds: NDArray[np.uint8],
    flows: NDArray[np.uint64],
    state: State,
    window_ns: int,
    proximity_ns: int,
) -> Any:
    """Set FLAG_DUPLICATE on rows that another tap saw before, and remember all others.

    `packets.tap` holds indexes below MAX_TAPS, `packets.time_ns` times of one clock; the four
    columns are those of `packet_signatures`. All arrays have as many rows as `packets`, at most
    the size of the ring of entries. The returned number means nothing (see `touch`).
    """
    # Functions of the loop get arrays, not tuples: a tuple's arrays are counted one by one.
    make_room(state, packets.time_ns.size, window_ns)
    entries = state.entries
    heads = state.heads
    totals = state.totals
    capacity = np.int64(entries.size)
    bucket_mask = np.uint64(heads.size - 1)
    loaded = np.int64(0)
    for row in range(packets.time_ns.size):
        if row % _BLOCK_ROWS == 0:
            loaded ^= touch(entries, heads, keys, row, min(row + _BLOCK_ROWS, keys.size))
        tap = np.int64(packets.tap[row])
        time_ns = packets.time_ns[row]
        key = keys[row]
        if key == 0:
            continue
        kind = np.int64(kinds[row])
        variant = variants[row]
        bit = _ONE << np.uint64(tap)
        reliable = (kind & KIND_RELIABLE) != 0
        bucket = np.int64(key & bucket_mask)
        slot, before = find(
            entries, totals, heads[bucket], key, variant, bit, time_ns, reliable,
            window_ns, proximity_ns,
        )  # fmt: skip
        if slot >= 0:
            entries[slot]["mask"] |= bit
            state.duplicates[tap] += 1
            packets.flags[row] |= _DUPLICATE
            continue
        if reliable and before >= 0:
            entries[before]["resent"] = 1
        flow = np.int64(-1)
        if not kind & KIND_UNSURE:
            flow = flow_index(state.flow_hashes, state.flow_indexes, totals, flows[row])
        number = totals[_NEXT]
        entry = entries[number & (capacity - 1)]
        entry["key"] = key
        entry["mask"] = bit
        entry["time_ns"] = time_ns
        entry["before"] = heads[bucket]
        entry["frame"] = packets.frame[row]
        entry["variant"] = variant
        entry["flow"] = flow
        entry["payload_length"] = packets.payload_length[row]
        entry["tap"] = tap
        entry["kind"] = kind
        entry["resent"] = 0
        heads[bucket] = number + 1
        totals[_NEXT] = number + 1
    return loaded


@njit(cache=True, nogil=True)
def count(packets: Packets, state: State) -> None:
    """Count the records of each tap and note its first and last time."""
    for row in range(packets.time_ns.size):
        tap = np.int64(packets.tap[row])
        time_ns = packets.time_ns[row]
        if state.packets[tap] == 0:
            state.first_ns[tap] = time_ns
            state.last_ns[tap] = time_ns
        state.packets[tap] += 1
        state.first_ns[tap] = min(state.first_ns[tap], time_ns)
        state.last_ns[tap] = max(state.last_ns[tap], time_ns)
