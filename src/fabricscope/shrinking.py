"""What a store in a directory gives up when it takes more than it may: the oldest samples.

Each resolution has a share of the limit, so that neither seconds nor hours push the others out.
"""

from typing import Final

from fabricscope.errors import StoreError
from fabricscope.schemas import RESOLUTIONS_NS
from fabricscope.store import DeltaStore

__all__ = ["rank_of", "shrink"]

SHARES: Final = (0.5, 0.25, 0.15, 0.1)
"""Of the limit: for samples of a second and events, then for each coarser resolution."""

_ROUNDS: Final = 4


def rank_of(place: str) -> int:
    """Return 0 for a Delta table of rows as they came, more for each coarser resolution."""
    resolution = place.partition(".")[2]
    return list(RESOLUTIONS_NS).index(resolution) + 1 if resolution else 0


def shrink(store: DeltaStore, limit_bytes: int) -> None:
    """Give up the oldest samples of the resolutions that take more than their share.

    Alerts stay: they are few, and a silence or what still fires must not be forgotten. Raises
    StoreError with the last failure, after all tables had their turn.
    """
    failure: StoreError | None = None
    for _ in range(_ROUNDS):
        size = store.size_bytes()
        if size <= limit_bytes:
            break
        for rank, part in enumerate(_parts(store, size, limit_bytes)):
            try:
                _give_up(store, _places_of(store, rank), part)
            except StoreError as error:
                failure = error
    if failure is not None:
        raise failure


def _places_of(store: DeltaStore, rank: int) -> list[str]:
    """Return the Delta tables of a resolution that may be given up."""
    return [place for place in store.places() if rank_of(place) == rank and place != "alerts"]


def _parts(store: DeltaStore, size: int, limit_bytes: int) -> list[float]:
    """Return which part of each resolution has to go for a store to be within its limit."""
    used = [0 for _ in SHARES]
    for rank in range(len(SHARES)):
        for place in _places_of(store, rank):
            files = store.files(place)
            used[rank] += 0 if files is None else int(files["size_bytes"].sum())
    over = [max(have - share * limit_bytes, 0.0) for have, share in zip(used, SHARES, strict=True)]
    if not any(over):
        over = [float(have) for have in used]  # logs and old versions make the difference
    wanted = 1.1 * (size - limit_bytes) / max(sum(over), 1.0)
    return [
        min(wanted * much / have, 0.9) if have else 0.0
        for much, have in zip(over, used, strict=True)
    ]


def _give_up(store: DeltaStore, places: list[str], part: float) -> None:
    """Forget the oldest part of the time that Delta tables cover together."""
    spans = {place: store.span(place) for place in places}
    held = {place: span for place, span in spans.items() if span and span[1] > span[0]}
    if not held or not part:
        return
    oldest = min(first for first, _ in held.values())
    newest = max(last for _, last in held.values())
    failure: StoreError | None = None
    for place in held:
        try:
            store.forget(place, oldest + int((newest - oldest) * part) + 1)
            store.compact(place)
        except StoreError as error:
            failure = error
    if failure is not None:
        raise failure
