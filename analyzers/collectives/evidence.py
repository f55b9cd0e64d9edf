"""What the transport says about a group's traffic, and the findings that follow.

Loss, time-outs and ECN marks of the group's queue pairs stand beside its collectives, so that a
slow network is told apart from a slow rank.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.collectives.jobs import Events
from fabricscope.analyzers.collectives.layout import KIND_CONTROL
from fabricscope.analyzers.collectives.operations import Collective
from fabricscope.analyzers.findings.finding import Finding, host_filter

MIN_MARKED_PART: Final = 0.01
"""Fewer CE marks than this are the network's ordinary signalling."""

MIN_STUCK_NS: Final = 1_000_000_000
MIN_STUCK_FACTOR: Final = 10
WHOLE_PART: Final = 0.99
"""Of what it usually sends a rank has sent at least this in an operation that ended."""


def transport_of(
    events: Events, channels: NDArray[np.void], qps: NDArray[np.void]
) -> dict[str, Any]:
    """Return counts of loss and congestion of the group, and whom they concern most."""
    used = channels[np.unique(events.channel)]
    resent = int(used["resent"].sum())
    if not events.rdma:
        return {"retransmissions": resent}
    slots = np.unique(used["qp"][used["qp"] >= 0]).astype(np.int64)
    own = qps[slots]
    capable = int(own["ecn_capable"].sum())
    totals: dict[str, Any] = {
        "retransmissions": int(own["retransmissions"].sum()),
        "timeouts": int(own["timeouts"].sum()),
        "naks": int(own["naks"].sum()),
        "rnr_naks": int(own["rnr_naks"].sum()),
        "network_lost": int(own["network_lost"].sum()),
        "ecn_marked_ratio": round(int(own["ecn_marked"].sum()) / max(capable, 1), 5),
        "cnps": int(own["cnps"].sum()),
        "worst": None,
    }
    hurt = own["retransmissions"] + own["timeouts"].astype(np.int64) * 1_000
    if hurt.max(initial=0) > 0:
        place = used[used["qp"] == slots[int(hurt.argmax())]][0]
        number = int(np.flatnonzero(channels["qp"] == place["qp"])[0])
        rows = np.flatnonzero(events.channel == number)
        if rows.size:
            totals["worst"] = [
                events.ranks[int(events.src[rows[0]])],
                events.ranks[int(events.dst[rows[0]])],
            ]
    return totals


def slowed_senders(events: Events, channels: NDArray[np.void], qps: NDArray[np.void]) -> set[int]:
    """Return the ranks to which CNPs went: their adapters send at less than the link's rate."""
    if not events.rdma:
        return set()
    slowed = set()
    for rank in range(len(events.ranks)):
        numbers = np.unique(events.channel[events.src == rank])
        slots = channels["qp"][numbers].astype(np.int64)
        back = qps["paired"][slots].astype(np.int64)
        if int(qps["cnps"][back[back >= 0]].sum()) > 0:
            slowed.add(rank)
    return slowed


def transport_text(transport: dict[str, Any]) -> str | None:
    """Return in one sentence that loss or congestion holds the job back, None if neither does."""
    worst = transport.get("worst")
    where = f", most from {worst[0]} to {worst[1]}" if worst else ""
    if transport.get("timeouts"):
        return (
            f"Loss: {transport['retransmissions']} packets were sent again and the ACK time-out "
            f"ran {transport['timeouts']} times{where}."
        )
    if transport.get("naks"):
        return (
            f"Loss: {transport['naks']} NAKs and {transport['retransmissions']} packets sent "
            f"again{where}."
        )
    if transport.get("ecn_marked_ratio", 0.0) >= MIN_MARKED_PART:
        return (
            f"Congestion: {100 * transport['ecn_marked_ratio']:.1f} % of data packets are marked "
            f"CE, {transport['cnps']} CNPs slow the senders."
        )
    return None


def straggler_finding(collective: Collective, straggler: dict[str, Any]) -> Finding:
    """Return the finding about a rank or link that all others wait for."""
    name = f"{collective.operation} among {collective.ranks} ranks"
    if straggler["kind"] == "compute":
        return Finding(
            "warning",
            "compute_straggler",
            straggler["ip"],
            f"{straggler['ip']} starts {straggler['late_ms']:.3g} ms after the others in "
            f"{straggler['evidence']['late_iterations']} of "
            f"{straggler['evidence']['iterations']} iterations of the {name}.",
            "Look at this host's load, input pipeline and clocks; the network is not the cause.",
            {"late_ms": straggler["late_ms"], **straggler["evidence"]},
            filter=host_filter(straggler["ip"]),
            weight=float(straggler["late_ms"]),
        )
    return Finding(
        "warning",
        "slow_link",
        straggler["ip"],
        f"Messages on the {straggler['direction']}link of {straggler['ip']} run at "
        f"{straggler['rate_gbps']:.3g} Gb/s, those of the others in the {name} at "
        f"{straggler['evidence']['others_gbps']:.3g}.",
        "Check speed, errors, pause frames and rate limits of this host's link.",
        {"rate_gbps": straggler["rate_gbps"], **straggler["evidence"]},
        filter=host_filter(straggler["ip"]),
        weight=1.0 / max(float(straggler["evidence"]["ratio"]), 1e-6),
    )


def _sent_bytes(events: Events, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what each rank has sent in `rows`; of a message cut short what was seen of it.

    A WRITE announces its size in its first packet, so a broken off one counts as whole elsewhere.
    """
    size = events.bytes / np.maximum(events.packets, 1)
    full = np.zeros(int(events.channel.max(initial=0)) + 1)
    earlier = np.arange(len(size)) < rows.min(initial=len(size))
    np.maximum.at(full, events.channel[earlier], size[earlier])
    seen = events.packets[rows] * full[events.channel[rows]]
    known = full[events.channel[rows]] > 0
    carried = np.where(known, np.minimum(events.bytes[rows], seen), events.bytes[rows])
    carried = np.where(events.kind[rows] < KIND_CONTROL, carried, 0.0)
    return np.bincount(events.src[rows], carried, len(events.ranks)).astype(np.float64)


def _unfinished(
    events: Events,
    collectives: list[Collective],
    last: NDArray[np.int64],
    usual: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Return the rows of an operation that began and did not end; none if all did.

    last: the rows of the last iteration, which lacks little when it broke off near its end.
    """
    last_end = max(s.end_ns for c in collectives for s in c.segments)
    rows = np.flatnonzero(events.start_ns > last_end)
    lacking = _sent_bytes(events, last) < WHOLE_PART * usual
    if events.rdma and events.lost == 0 and lacking.any():
        rows = np.union1d(rows, last)
    return np.asarray(rows, np.int64)


def stuck_finding(events: Events, collectives: list[Collective], end_ns: int) -> Finding | None:
    """Return the finding that the last collective never ended, with who is missing.

    Ranks that have sent in the unfinished operation wait; the one that has not is waited for.
    """
    repeated = [c for c in collectives if len(c.segments) >= 2 and c.size_bytes > 0]
    if not repeated:
        return None
    longest = max(s.end_ns - s.start_ns for c in repeated for s in c.segments)
    # Ranks send unequal parts in a tree, so each is compared with what it usually sends.
    main = max(repeated, key=lambda c: len(c.segments))
    usual = main.segments[0].matrix.sum(axis=1)
    rows = _unfinished(events, collectives, main.segments[-1].rows, usual)
    if not events.matrix_of(rows).any():
        return None
    silent_ns = end_ns - int(events.end_ns[rows].max())
    if silent_ns < max(MIN_STUCK_NS, MIN_STUCK_FACTOR * longest):
        return None
    sent = _sent_bytes(events, rows)
    share = np.where(usual > 0, sent / np.maximum(usual, 1.0), np.inf)
    missing = int(share.argmin())
    others = np.delete(share, missing)
    most = float(others[np.isfinite(others)].max(initial=0.0))
    waiting = [name for rank, name in enumerate(events.ranks) if rank != missing and sent[rank] > 0]
    name = events.ranks[missing]
    return Finding(
        "critical",
        "stuck_collective",
        name,
        f"The last operation among {len(events.ranks)} ranks began and never ended: "
        f"{silent_ns / 1e9:.3g} s of silence. {name} has sent {100 * share[missing]:.0f} % of its "
        f"usual part, the others up to {100 * most:.0f} %: {len(waiting)} ranks wait for it.",
        "Look at this rank's process first; the others wait for it.",
        {
            "silent_s": silent_ns / 1e9,
            "sent_bytes": int(sent[missing]),
            "usual_bytes": round(float(usual[missing])),
            "others_share": round(most, 4),
            "waiting_ranks": len(waiting),
            "began_ns": int(events.start_ns[rows].min()),
        },
        filter=host_filter(name),
        weight=silent_ns / 1e9,
    )
