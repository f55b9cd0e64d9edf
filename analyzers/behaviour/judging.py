"""Verdicts: the table of `classes` applied to features and relations, all flows at once."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.behaviour.classes import PATTERNS, Condition
from fabricscope.analyzers.behaviour.relations import Relations, relate
from fabricscope.analyzers.behaviours import BEHAVIOURS

RANK_SCORE: Final = 0.7  # of collective_burst, from which on both hosts count as ranks
MIN_SCORE: Final = 0.15  # below it nothing is said
SHOWN_FEATURES: Final = 4
OVERRIDE_SCORE: Final = 0.5
COMPANION_PACKETS: Final = 4
COMPANION_BYTES: Final = 65_536
COMPANION_SHARE: Final = 0.05
_VICTIM: Final = BEHAVIOURS.index("congestion_victim")
_COLLECTIVE: Final = BEHAVIOURS.index("collective_burst")

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class BehaviourVerdicts(NamedTuple):
    """One entry a flow, in the order of the features.

    behaviour: of `BEHAVIOURS`, "" where nothing fits; behaviour_confidence: its score less
    a quarter of the runner-up's, 0 to 1; behaviour_features: what decided, as `name=value`, the
    unit at the end of the name.
    """

    behaviour: list[str]
    behaviour_confidence: NDArray[np.float32]
    behaviour_features: list[str]


def judge(features: NDArray[np.void]) -> BehaviourVerdicts:
    """Judge flows (`layout.FEATURE_DTYPE` rows of one capture) among themselves.

    Twice: the first time tells who is a rank, which the second one takes into account.
    """
    if not len(features):
        return BehaviourVerdicts([], np.zeros(0, np.float32), [])
    relations = relate(features)
    values = _values(features, relations)
    scores, _ = _scores(values)
    values.update(_context(features, relations, scores))
    scores, decided = _scores(values)

    # Congestion is told on top of what the flow does otherwise.
    chosen = np.argmax(np.where(np.arange(len(BEHAVIOURS)) == _VICTIM, 0, scores), axis=1)
    otherwise = chosen.copy()
    chosen[scores[:, _VICTIM] >= OVERRIDE_SCORE] = _VICTIM
    rows = np.arange(len(features))
    best = scores[rows, chosen]
    rest = scores.copy()
    rest[rows, chosen] = 0
    rest[rows[chosen == _VICTIM]] = 0
    confidence = np.clip(best - rest.max(axis=1) / 4, 0, 1)
    names = [BEHAVIOURS[k] for k in chosen.tolist()]
    names = [name if score >= MIN_SCORE else "" for name, score in zip(names, best, strict=True)]
    texts = [
        _text(values, row, decided[row, k]) if name else ""
        for row, (k, name) in enumerate(zip(chosen.tolist(), names, strict=True))
    ]
    for row in np.flatnonzero(chosen == _VICTIM).tolist():
        texts[row] += f", otherwise {BEHAVIOURS[otherwise[row]]}"
    verdicts = BehaviourVerdicts(names, confidence.astype(np.float32), texts)
    _follow_companions(features, relations, verdicts)
    return verdicts


def _membership(values: Floats, condition: Condition) -> Floats:
    """Return how far `values` are from `absent` to `full`, 0 to 1; unknown (NaN) counts as 0."""
    _, absent, full = condition
    if absent > 0 and full > 0:
        values = np.log(np.maximum(values, 1e-12))
        absent, full = np.log(absent), np.log(full)
    return np.nan_to_num(np.clip((values - absent) / (full - absent), 0, 1))


def _scores(values: dict[str, Floats]) -> tuple[Floats, NDArray[np.int64]]:
    """Return the score of each behaviour and the index of the pattern that gave it: (n, k)."""
    count = len(values["payload"])
    scores = np.zeros((count, len(BEHAVIOURS)))
    decided = np.zeros((count, len(BEHAVIOURS)), np.int64)
    for number, pattern in enumerate(PATTERNS):
        place = BEHAVIOURS.index(pattern.behaviour)
        parts = [
            _membership(values[condition.feature], condition) for condition in pattern.conditions
        ]
        score = pattern.weight * np.minimum.reduce(parts)
        better = score > scores[:, place]
        scores[better, place] = score[better]
        decided[better, place] = number
    return scores, decided


def _values(features: NDArray[np.void], relations: Relations) -> dict[str, Floats]:
    """Return every feature that `classes` names, as float64 by name; the context still empty."""
    values = {
        name: features[name].astype(np.float64)
        for name in features.dtype.names or ()
        if features.dtype[name] == np.float32
    }
    a = features["a_payload_bytes"].astype(np.float64)
    b = features["b_payload_bytes"].astype(np.float64)
    payload = a + b
    larger = np.maximum(a, b)
    some = np.maximum(payload, 1)
    data_s = (features["data_end_ns"] - features["data_start_ns"]) / 1e9
    rate = payload * 8 / np.maximum(data_s, 1e-6)
    values.update(
        a_payload=a,
        payload=payload,
        larger_bytes=larger,
        both_bytes=np.minimum(a, b),
        upload_share=a / some,
        download_share=b / some,
        one_way_share=larger / some,
        data_s=data_s,
        rate_bps=rate,
        rate_mbps=rate / 1e6,
        burst_rate_mbps=rate / 1e6 / np.maximum(values["burst_duty"], 1e-6),
        bytes_per_turn=payload / (values["turns"] + 1),
        packets=(features["a_packets"] + features["b_packets"]).astype(np.float64),
        b_packets=features["b_packets"].astype(np.float64),
        paced=np.maximum.reduce(
            [
                _membership(values["data_bytes_mean"], Condition("", 1_200, 900)),
                _membership(values["gap_cv"], Condition("", 1.5, 0.7)),
                _membership(values["period_strength"], Condition("", 0.3, 0.6)),
            ]
        ),
        repeats=relations.repeats.astype(np.float64),
        repeat_interval_s=relations.repeat_interval_s,
        repeat_steady=relations.repeat_steady,
        object_repeats=relations.object_repeats.astype(np.float64),
        relay=relations.relay,
        exchange=relations.exchange,
        slowdown=relations.slowdown,
        repeated=values["repeat_share"] * features["data_packets"],
        fruitless=relations.fruitless.astype(np.float64),
        fruitless_share=relations.fruitless_share,
        between_ranks=np.zeros(len(features)),
        a_is_rank=np.zeros(len(features)),
        storage_context=np.zeros(len(features)),
    )
    return values


def _context(features: NDArray[np.void], relations: Relations, scores: Floats) -> dict[str, Floats]:
    """Return what the first judgement says about hosts: ranks, and servers that are read from."""
    a, b = relations.a_host, relations.b_host
    collective = scores[:, _COLLECTIVE] >= RANK_SCORE
    hosts = int(max(a.max(), b.max())) + 1
    group = _groups(a[collective], b[collective], hosts)
    start = np.full(hosts, np.iinfo(np.int64).max)
    end = np.full(hosts, np.iinfo(np.int64).min)
    np.minimum.at(start, group[a[collective]], features["start_ns"][collective])
    np.maximum.at(end, group[a[collective]], features["end_ns"][collective])

    rank = np.zeros(hosts, bool)
    rank[a[collective]] = True
    rank[b[collective]] = True
    same = rank[a] & rank[b] & (group[a] == group[b])
    inside = np.minimum(end[group[a]], features["data_end_ns"]) - np.maximum(
        start[group[a]], features["data_start_ns"]
    )
    length = np.maximum(features["data_end_ns"] - features["data_start_ns"], 1)
    between = np.where(same, np.clip(inside / length, 0, 1), 0.0)
    outside = (rank[a] & ~rank[b]).astype(np.float64)

    download = features["b_payload_bytes"] > features["a_payload_bytes"]
    server = np.zeros(hosts, bool)
    server[b[download & (relations.object_repeats >= 3)]] = True
    again = ~download & (relations.object_repeats >= 2)
    storage = np.maximum.reduce([outside, server[b].astype(float), 0.8 * again])
    return {"between_ranks": between, "a_is_rank": outside, "storage_context": storage}


def _groups(a: NDArray[np.int64], b: NDArray[np.int64], hosts: int) -> NDArray[np.int64]:
    """Return, for each host, the lowest number among the hosts it is linked to by (a, b) pairs."""
    group = np.arange(hosts)
    while True:
        lowest = np.minimum(group[a], group[b])
        merged = group.copy()
        np.minimum.at(merged, a, lowest)
        np.minimum.at(merged, b, lowest)
        merged = merged[merged]
        if np.array_equal(merged, group):
            return group
        group = merged


def _text(values: dict[str, Floats], row: int, number: int) -> str:
    """Return the features that a pattern decided by, as `name=value` in the pattern's order."""
    conditions = PATTERNS[number].conditions[:SHOWN_FEATURES]
    return ", ".join(f"{c.feature}={values[c.feature][row]:.3g}" for c in conditions)


def _follow_companions(
    features: NDArray[np.void], relations: Relations, verdicts: BehaviourVerdicts
) -> None:
    """Let flows that only answer behave like what they answer.

    Where the two directions of a connection are flows of their own (RoCE), one of them carries
    acknowledgements or credits: it follows the largest flow the other way at the same time.
    """
    payload = features["a_payload_bytes"] + features["b_payload_bytes"]
    one_way = features["b_packets"] == 0
    quiet = one_way & (payload <= COMPANION_BYTES) & (features["a_packets"] >= COMPANION_PACKETS)
    wanted = set(
        zip(relations.b_host[quiet].tolist(), relations.a_host[quiet].tolist(), strict=True)
    )
    if not wanted:
        return
    largest: dict[tuple[int, int], int] = {}
    for row in np.flatnonzero(one_way & (payload > 0)).tolist():
        key = (int(relations.a_host[row]), int(relations.b_host[row]))
        if key in wanted and (key not in largest or payload[row] > payload[largest[key]]):
            largest[key] = row
    for row in np.flatnonzero(quiet).tolist():
        other = largest.get((int(relations.b_host[row]), int(relations.a_host[row])))
        if (
            other is None
            or payload[row] > COMPANION_SHARE * payload[other]
            or features["start_ns"][row] > features["end_ns"][other]
            or features["end_ns"][row] < features["start_ns"][other]
        ):
            continue
        verdicts.behaviour[row] = verdicts.behaviour[other]
        verdicts.behaviour_confidence[row] = 0.9 * verdicts.behaviour_confidence[other]
        verdicts.behaviour_features[row] = (
            f"answers flow {features['id'][other]}: {verdicts.behaviour_features[other]}"
        )
